import { fromRfc3339 } from '../core/time.ts';
import { CliError, EXIT } from './exit-codes.ts';

const UNIT_MS: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 };

/** An instant as a person writes it: RFC 3339, or how long ago (`30m`, `12h`, `7d`). Milliseconds since the epoch; throws `CliError`. */
export function instantFlag(name: string, value: string, nowMs: number): number {
  const [, count = '', unit = ''] = /^(\d{1,6})([mhd])$/.exec(value) ?? [];
  const ago = UNIT_MS[unit];
  const instantMs = ago === undefined ? fromRfc3339(value) : nowMs - Number(count) * ago;
  if (instantMs === undefined) throw new CliError(EXIT.usage, `${name} ${value}: give an RFC 3339 instant, or how long ago, such as 30m, 12h or 7d`);
  return instantMs;
}
