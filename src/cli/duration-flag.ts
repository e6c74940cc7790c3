import { CliError, EXIT } from './exit-codes.ts';

const UNIT_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** A length of time as a person writes it (`90s`, `30m`, `12h`, `7d`), in milliseconds; undefined where the text is none. */
export function parseDuration(text: string): number | undefined {
  const [, count = '', unit = ''] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  const unitMs = UNIT_MS[unit];
  return unitMs === undefined ? undefined : Number(count) * unitMs;
}

/** The same of a flag. Throws a usage error that names it. */
export function durationFlag(flag: string, text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined) throw new CliError(EXIT.usage, `${flag} takes a length of time such as 90s, 30m, 4h or 2d, not ${text}`);
  return ms;
}
