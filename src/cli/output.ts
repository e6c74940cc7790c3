import { styleText } from 'node:util';

/** Words that a person has to see, on standard error: what is wrong, and what is asked. */
export const tell = (line: string): void => void process.stderr.write(`${printable(line)}\n`);
/** Words that one can do without: with `--quiet` there are none. Data goes to standard output. */
export const say = (line: string): void => (isQuiet() ? undefined : tell(line));
export const isQuiet = (): boolean => isOn(process.env['MAYFLY_QUIET']);
/** Whether each request is told of. */
export const isVerbose = (): boolean => isOn(process.env['MAYFLY_VERBOSE']);
const isOn = (value = ''): boolean => value !== '' && value !== '0';
export const print = (text: string): void => void process.stdout.write(text.endsWith('\n') ? text : `${text}\n`);
export const printJson = (value: unknown): void => print(JSON.stringify(value, null, 2));

/**
 * Text without control characters. What a broker answers holds words of others, such as an agent's subject, and a
 * terminal would obey the escape sequences in them.
 */
export const printable = (text: string): string => text.replace(/[\p{Cc}\p{Bidi_Control}]/gu, (character) => (character === '\n' ? character : '\u{fffd}'));

type Style = Parameters<typeof styleText>[0];

/** Colour where a person looks: a terminal, without NO_COLOR. */
export const styled = (style: Style, text: string): string => styleText(style, text, { stream: process.stdout });

/** A cell of a table; with a style, where its colour says something. */
export type Cell = string | readonly [style: Style, text: string];

/** A table with aligned columns; the header in bold. Empty rows give a single line that says so. */
export function table(header: readonly string[], rows: readonly (readonly Cell[])[], none: string): string {
  if (rows.length === 0) return none;
  const cleaned = rows.map((row) => row.map((cell) => (typeof cell === 'string' ? oneLine(cell) : ([cell[0], oneLine(cell[1])] as const))));
  const widths = header.map((title, column) => Math.max(title.length, ...cleaned.map((row) => textOf(row[column] ?? '').length)));
  const line = (cells: readonly Cell[]): string => {
    // Padding after the last column would only be seen when it is copied.
    const last = cells.findLastIndex((cell) => textOf(cell) !== '');
    return cells.slice(0, last + 1).map((cell, column) => paint(cell) + ' '.repeat(column === last ? 0 : (widths[column] ?? 0) - textOf(cell).length)).join('  ');
  };
  return [styled('bold', line(header)), ...cleaned.map(line)].join('\n');
}

const oneLine = (text: string): string => printable(text).replaceAll('\n', ' ');
const textOf = (cell: Cell): string => (typeof cell === 'string' ? cell : cell[1]);
const paint = (cell: Cell): string => (typeof cell === 'string' ? cell : styled(cell[0], cell[1]));

/** Ten years: what is further away, such as the lock of a disabled agent, has no end of its own. */
const NEVER_SECONDS = 3_650 * 86_400;

/** How far away an instant is: `4m 05s`, `12s ago`, or `never`. */
export function countdown(instant: string | null, nowMs: number): string {
  if (instant === null) return '-';
  const seconds = Math.round((Date.parse(instant) - nowMs) / 1000);
  if (seconds > NEVER_SECONDS) return 'never';
  const text = lengthText(Math.abs(seconds));
  return seconds < 0 ? `${text} ago` : text;
}

/** A length by its two largest units. */
function lengthText(seconds: number): string {
  const parts = [`${Math.floor(seconds / 86_400)}d`, `${Math.floor(seconds / 3_600) % 24}h`, `${Math.floor(seconds / 60) % 60}m`, `${seconds % 60}s`];
  const first = parts.findIndex((part) => !part.startsWith('0'));
  if (first === -1) return '0s';
  return parts.slice(first, first + 2).map((part, place) => (place === 0 ? part : part.padStart(3, '0'))).join(' ');
}

/** A value as one word of a POSIX shell, whatever is in it. */
export const shellQuote = (value: string): string => `'${value.replaceAll("'", `'\\''`)}'`;
