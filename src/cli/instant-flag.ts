import { epochMsFrom, fromRfc3339, type EpochMs } from '../core/time.ts';
import { parseDuration } from './duration-flag.ts';
import { CliError, EXIT } from './exit-codes.ts';

const WEEKDAYS = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday'];

/**
 * An instant as a person writes it: RFC 3339, how long ago (`30m`, `12h`, `7d`), or a day: `2026-01-06`, `today`, `yesterday`,
 * `tuesday` (the last one, today included), `last tuesday` (before today). A day is one of this machine's time zone, and
 * both flags include it: `--since` takes its first instant, any other its end. Milliseconds since the epoch; throws `CliError`.
 */
export function instantFlag(name: string, value: string, nowMs: number): EpochMs {
  const ago = parseDuration(value);
  const day = dayOf(value, nowMs);
  const instantMs = ago !== undefined ? epochMsFrom(nowMs - ago) : day !== undefined ? (name === '--since' ? day.fromMs : day.toMs) : fromRfc3339(value);
  if (instantMs === undefined) throw new CliError(EXIT.usage, `${name} ${value}: give an RFC 3339 instant, how long ago, such as 30m, 12h or 7d, or a day, such as 2026-01-06, yesterday or 'last tuesday'`);
  return instantMs;
}

/** A day of this machine's time zone, its end exclusive. Throws `CliError` for another word. */
export function dayFlag(name: string, value: string, nowMs: number): Day {
  const day = dayOf(value, nowMs);
  if (day === undefined) throw new CliError(EXIT.usage, `${name} ${value}: give a day, such as 2026-01-06, yesterday or 'last tuesday'`);
  return day;
}

interface Day {
  readonly fromMs: EpochMs;
  readonly toMs: EpochMs;
}

function dayOf(value: string, nowMs: number): Day | undefined {
  const now = new Date(nowMs);
  const daysAgo = (days: number): Day => dayFrom(now.getFullYear(), now.getMonth(), now.getDate() - days);
  const [, last, word = ''] = /^(last )?([a-z]+)$/.exec(value.trim().toLowerCase()) ?? [];
  if (last === undefined && word === 'today') return daysAgo(0);
  if (last === undefined && word === 'yesterday') return daysAgo(1);
  const weekday = WEEKDAYS.indexOf(word);
  if (weekday !== -1) {
    const days = (now.getDay() - weekday + 7) % 7;
    return daysAgo(days === 0 && last !== undefined ? 7 : days);
  }
  const [, year, month, date] = /^(\d{4})-(\d\d)-(\d\d)$/.exec(value) ?? [];
  const day = dayFrom(Number(year), Number(month) - 1, Number(date));
  // 2026-02-30 is no day, and would be one in March.
  return new Date(day.fromMs).getDate() === Number(date) ? day : undefined;
}

/** Also across the hour that a day has more or less twice a year. */
const dayFrom = (year: number, month: number, date: number): Day => ({ fromMs: new Date(year, month, date).getTime() as EpochMs, toMs: new Date(year, month, date + 1).getTime() as EpochMs });

/** A time in this machine's words, with its zone. */
export function inLocalTime(ms: number): string {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const pad = (value: number): string => String(value).padStart(2, '0');
  const at = new Date(ms);
  const offset = -at.getTimezoneOffset();
  const sign = offset < 0 ? '-' : '+';
  return `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())} ${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())} ${zone}${zone === 'UTC' ? '' : ` (${sign}${pad(Math.floor(Math.abs(offset) / 60))}:${pad(Math.abs(offset) % 60)})`}`;
}
