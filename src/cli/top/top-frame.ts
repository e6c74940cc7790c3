import { dueCell, stateCell, type LeaseAnswer } from '../lease-output.ts';
import { printable, styled, type Cell } from '../output.ts';
import { LEASES_AT_MOST } from './look-once.ts';
import type { OverviewAnswer } from './overview-answer.ts';
import { cursorOf, shownLeases, type TopState } from './top-state.ts';

export interface Size {
  readonly rows: number;
  readonly columns: number;
}

/** Lines above the list of leases, and below it. */
const ABOVE = 7;
const BELOW = 2;

/** Rows of leases that a terminal of that size has room for. */
export const listRows = ({ rows }: Size): number => Math.max(1, rows - ABOVE - BELOW);

/** The screen as lines, none longer than it is wide and never more than it is high. `nowMs`: the broker's time. */
export function topFrame(state: TopState, size: Size, nowMs: number): string[] {
  const body = state.mode === 'help' ? HELP.map((line): Cell[] => [line]) : listLines(state, size, nowMs);
  const room = listRows(size) + 1;
  const lines = [...overviewLines(state, nowMs), ...body.slice(0, room), ...Array.from({ length: Math.max(0, room - body.length) }, (): Cell[] => []), ['', noticeOf(state)], [footerOf(state)]];
  return lines.slice(0, size.rows).map((line) => fitted(line, size.columns));
}

function overviewLines({ overview, stale }: TopState, nowMs: number): Cell[][] {
  const title: Cell[] = [['bold', `mayfly ${overview?.version ?? ''}`], overview?.deployment_id ?? '', new Date(nowMs).toISOString().slice(0, 19).replace('T', ' ') + ' UTC', ...(stale === null ? [] : [['red', `STALE: ${stale}`] satisfies Cell])];
  if (overview === null) return [title, [], [], [], [], []];
  const { leases, lateness, providers, queues, tasks, denials, locks, hold, timeline } = overview;
  const seconds = (value: number | null): string => (value === null ? '-' : `${value < 10 ? value.toFixed(1) : Math.round(value)}s`);
  const budget = lateness.window.budget_remaining;
  const waiting = queues.filter((one) => one.waiting + one.active + one.delayed + one.failed > 0);
  return [
    title,
    [
      alarming(leases.overdue > 0, `overdue ${leases.overdue}${leases.overdue > 0 ? ` (${Math.round(leases.oldest_overdue_seconds)}s)` : ''}`),
      alarming(leases.stuck > 0, `stuck ${leases.stuck}`), `live ${leases.active}`, `lapsing ${leases.lapsing}`,
      leases.disclosed > 0 ? ['yellow', `disclosed ${leases.disclosed}`] : 'disclosed 0',
      locks > 0 ? ['yellow', `locks ${locks}`] : 'locks 0', ...(hold ? [['red', 'HOLD: nothing is granted'] satisfies Cell] : []),
    ],
    [
      `due ${leases.expiring.map(({ within_seconds: within, count }) => `${within / 60}m ${count}`).join('  ')}`,
      `late p50 ${seconds(lateness.hour.p50_seconds)} p99 ${seconds(lateness.hour.p99_seconds)} max ${seconds(lateness.hour.max_seconds)}`,
      budget === null ? 'budget -' : alarming(budget < 0, `budget ${Math.floor(budget * 100)} %`),
    ],
    [...providers.map(({ name, up }): Cell => (up ? `${name} up` : ['red', `${name} DOWN`])), ...waiting.map((one): Cell => [one.failed > 0 ? 'red' : 'yellow', `${one.provider} queue ${one.waiting + one.delayed}+${one.active}`])],
    [tasks.pending_approval > 0 ? ['yellow', `approvals ${tasks.pending_approval}`] : 'approvals 0', `tasks ${tasks.active}`, `ending ${tasks.ending}`, `denied ${denials.hour}/h ${denials.day}/d`],
    ['next hour', sparkline(timeline)],
  ];
}

const alarming = (bad: boolean, text: string): Cell => (bad ? ['red', text] : ['green', text]);

const BARS = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/** What falls due in each of the next 60 minutes, at all providers; the highest bar is the most of any minute. */
export function sparkline(timeline: OverviewAnswer['timeline']): string {
  const sums = Array.from({ length: 60 }, (_, minute) => timeline.reduce((sum, { per_minute: counts }) => sum + (counts[minute] ?? 0), 0));
  const most = Math.max(...sums);
  return most === 0 ? 'nothing falls due' : `${sums.map((sum) => BARS[sum === 0 ? 0 : Math.max(1, Math.round((sum / most) * 8))] ?? '').join('')}| most ${most} a minute`;
}

const COLUMNS = ['', 'DUE', 'STATE', 'CREDENTIAL', 'AGENT', 'PROVIDER', 'PURPOSE', 'LEASE'];

function listLines(state: TopState, size: Size, nowMs: number): Cell[][] {
  const shown = shownLeases(state);
  const cursor = cursorOf(state);
  const rows = listRows(size);
  const from = Math.max(0, Math.min(cursor - Math.floor(rows / 2), shown.length - rows));
  const cells = shown.slice(from, from + rows).map((lease, index) => cellsOf(lease, from + index === cursor, nowMs));
  const widths = COLUMNS.map((title, column) => Math.max(title.length, ...cells.map((row) => wordsOf(row[column] ?? '').length)));
  const padded = (row: readonly Cell[]): Cell[] => row.map((cell, column) => withWords(cell, wordsOf(cell).padEnd(widths[column] ?? 0)));
  const none = state.filter !== '' ? `nothing fits ${JSON.stringify(state.filter)}` : 'no live leases';
  return [padded(COLUMNS).map((cell): Cell => ['bold', wordsOf(cell)]), ...(shown.length === 0 ? [[none] satisfies Cell[]] : cells.map(padded))];
}

function cellsOf(lease: LeaseAnswer, selected: boolean, nowMs: number): Cell[] {
  const row: Cell[] = [selected ? '>' : ' ', dueCell(lease, nowMs), stateCell(lease.state), lease.credential, lease.agent, lease.provider, lease.purpose, lease.id].map((cell) => withWords(cell, printable(wordsOf(cell)).replaceAll('\n', ' ')));
  return selected ? row.map((cell): Cell => ['inverse', wordsOf(cell)]) : row;
}

function noticeOf({ mode, typed, at, filter, tree, notice, leases }: TopState): Cell {
  if (mode === 'filter') return ['bold', `filter: ${typed}_`];
  if (mode === 'reason') return ['bold', `end ${at ?? ''}? Reason, then Enter: ${typed}_${notice === '' ? '' : `  (${notice})`}`];
  const scope = [...(tree === null ? [] : [`tree of ${tree}`]), ...(filter === '' ? [] : [`filter ${JSON.stringify(filter)}`])].join(', ');
  return notice === '' ? `${scope === '' ? '' : `${scope} (Esc: all)  `}${leases.length === LEASES_AT_MOST ? `the first ${LEASES_AT_MOST}` : ''}` : ['yellow', notice];
}

const footerOf = ({ mode }: TopState): Cell => ['dim', mode === 'list' ? 'q quit  up/down move  / filter  r revoke  t tree of its task  ? help' : mode === 'help' ? 'any key goes back' : 'Enter takes it  Esc gives up'];

const HELP = [
  'Live leases, what is due first at the top; red is late.',
  '',
  '  up, down, k, j, PgUp, PgDn, Home, End   move',
  '  /        filter by words of any column; Esc shows all again',
  '  r        revoke the lease at the cursor: it wants a reason, and Enter',
  '  t        its task and all that it delegated; Esc shows all again',
  '  q        quit',
  '',
  'due 5m 8: eight fall due within five minutes. late: from when they had to be dead to',
  'their confirmed revocation, in the last hour. budget: what is left of the objective.',
  'queue 3+1: batches of revocations that wait, and that are worked on.',
];

const wordsOf = (cell: Cell): string => (typeof cell === 'string' ? cell : cell[1]);
const withWords = (cell: Cell, words: string): Cell => (typeof cell === 'string' ? words : [cell[0], words]);

/** Cells side by side, cut at the right edge: a line that went on would push the rest of the screen down. */
function fitted(cells: readonly Cell[], columns: number): string {
  let left = columns;
  return cells
    .flatMap((cell, index) => (index === 0 ? [cell] : ['  ', cell]))
    .map((cell) => {
      const characters = Array.from(printable(wordsOf(cell)).replaceAll('\n', ' ')).slice(0, left);
      const words = characters.join('');
      left -= characters.length;
      return typeof cell === 'string' || words === '' ? words : styled(cell[0], words);
    })
    .join('');
}
