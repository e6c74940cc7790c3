// How times, ids and the words of others are written on the page.

/** Enough of an id to tell it from its neighbours; the whole of it is in the title. */
export const short = (id) => id.slice(0, 12);

/** `1:05`, `2:00:00`. Whole seconds, as a clock shows them. */
export function duration(ms) {
  const seconds = Math.floor(ms / 1000);
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const shown = parts[0] === 0 ? parts.slice(1) : parts;
  return shown.map((part, index) => (index === 0 ? String(part) : String(part).padStart(2, '0'))).join(':');
}

const CLOCK = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium', hourCycle: 'h23' });
/** A time of day. @param {number} atMs */
export const clockTime = (atMs) => CLOCK.format(atMs);

/**
 * The text with each character that cannot be seen made visible: one that turns the direction of writing, or has no width, would
 * make what is read another thing than what is approved (Unicode UTS 39).
 */
export const readable = (text) => text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) => `⟨U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, '0')}⟩`);
