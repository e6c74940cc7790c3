declare const epochMs: unique symbol;

/** An instant: milliseconds since 1970-01-01T00:00:00Z. Only this file converts to and from other forms. */
export type EpochMs = number & { readonly [epochMs]: true };

/** Takes a whole number of milliseconds since the epoch. Throws `RangeError` on anything else. */
export function epochMsFrom(value: number): EpochMs {
  if (!Number.isSafeInteger(value)) throw new RangeError(`not an instant in milliseconds: ${String(value)}`);
  return value as EpochMs;
}

/** The instant `ms` milliseconds after `instant` (before it, when negative). */
export function addMs(instant: EpochMs, ms: number): EpochMs {
  return epochMsFrom(Math.trunc(instant + ms));
}

/** The instant `seconds` after `instant`. */
export function addSeconds(instant: EpochMs, seconds: number): EpochMs {
  return addMs(instant, seconds * 1000);
}

/** RFC 3339 in UTC with milliseconds, the form of every instant in the HTTP interface. */
export function toRfc3339(instant: EpochMs): string {
  return new Date(instant).toISOString();
}

/** The same, of what may not have happened. */
export const rfc3339OrNull = (instant: EpochMs | null): string | null => (instant === null ? null : toRfc3339(instant));

/** Parses RFC 3339; `undefined` when the text is no instant. */
export function fromRfc3339(text: string): EpochMs | undefined {
  const ms = Date.parse(text);
  return /^\d{4}-\d\d-\d\dT/.test(text) && Number.isSafeInteger(ms) ? (ms as EpochMs) : undefined;
}

/** An instant from whole seconds since the epoch, as in JWT claims (RFC 7519 NumericDate). */
export function fromEpochSeconds(seconds: number): EpochMs {
  return epochMsFrom(Math.trunc(seconds * 1000));
}

/** Whole seconds since the epoch, rounded down: a NumericDate never later than the instant. */
export function toEpochSeconds(instant: EpochMs): number {
  return Math.floor(instant / 1000);
}
