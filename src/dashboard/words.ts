// How times, ids and the words of others are written on the page.

/** Enough of an id to tell it from its neighbours; the whole of it is in the title. */
export const short = (id: string): string => id.slice(0, 12);

/** `1:05`, `2:00:00`. Whole seconds, as a clock shows them. */
export function duration(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  const [hours, minutes, rest] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60] as const;
  const padded = (part: number): string => String(part).padStart(2, '0');
  return hours === 0 ? `${minutes}:${padded(rest)}` : `${hours}:${padded(minutes)}:${padded(rest)}`;
}

const CLOCK = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium', hourCycle: 'h23' });
const DATE_AND_CLOCK = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium', hourCycle: 'h23' });

/** A time of day. */
export const clockTime = (atMs: number): string => CLOCK.format(atMs);

/** A day and a time of day, of an RFC 3339 instant. */
export const fullTime = (at: string): string => DATE_AND_CLOCK.format(Date.parse(at));

const COUNT = new Intl.NumberFormat('en');
/** `12,345`. */
export const count = (number: number): string => COUNT.format(number);

/** `1 lease`, `12 leases`. */
export const counted = (number: number, one: string, many = `${one}s`): string => `${count(number)} ${number === 1 ? one : many}`;

/** Seconds as one reads a latency: `40 ms`, `1.2 s`, `2:05`. */
export function seconds(value: number | null): string {
  if (value === null) return '–';
  if (value < 1) return `${Math.round(value * 1000)} ms`;
  return value < 60 ? `${value.toFixed(1)} s` : duration(value * 1000);
}

/**
 * The text with each character that cannot be seen made visible: one that turns the direction of writing, or has no width, would
 * make what is read another thing than what is approved (Unicode UTS 39).
 */
export const readable = (text: string): string =>
  text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) => `⟨U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}⟩`);

/** What is left of the error budget: 1 is all of it, and below 0 it is spent more than once. */
export const budget = (left: number): string => (left >= 0 ? `${Math.round(left * 1000) / 10} % of the error budget left` : `The error budget is spent ${(1 - left).toFixed(left > -9 ? 1 : 0)} times over`);
