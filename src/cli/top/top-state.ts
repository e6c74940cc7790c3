import type { LeaseAnswer } from '../lease-output.ts';
import type { OverviewAnswer } from './overview-answer.ts';

/** What stands on the screen, and what was typed. */
export interface TopState {
  readonly overview: OverviewAnswer | null;
  /** Live leases, soonest due first. */
  readonly leases: readonly LeaseAnswer[];
  /** Why what is shown is not of now; null while it is. */
  readonly stale: string | null;
  /** The lease at which the cursor stands: it stays there when others come and go. */
  readonly at: string | null;
  readonly filter: string;
  /** The root task whose tree alone is shown. */
  readonly tree: string | null;
  readonly mode: 'list' | 'filter' | 'reason' | 'help';
  /** What is being typed in `filter` and `reason`. */
  readonly typed: string;
  /** What became of the last thing that was asked for. */
  readonly notice: string;
}

/** What a key wants done beyond the screen. */
export type TopAct = { readonly do: 'quit' } | { readonly do: 'reload' } | { readonly do: 'revoke'; readonly lease: string; readonly reason: string };

export const INITIAL: TopState = { overview: null, leases: [], stale: 'asking the broker', at: null, filter: '', tree: null, mode: 'list', typed: '', notice: '' };

/** Leases that the filter lets through: each of its words is somewhere in one of its names. */
export function shownLeases({ leases, filter }: Pick<TopState, 'leases' | 'filter'>): readonly LeaseAnswer[] {
  const words = filter.toLowerCase().split(/\s+/).filter((word) => word !== '');
  if (words.length === 0) return leases;
  return leases.filter(({ id, task_id: task, agent, credential, provider, purpose, state }) => {
    const text = [id, task, agent, credential, provider, purpose, state].join('\n').toLowerCase();
    return words.every((word) => text.includes(word));
  });
}

/** Where the cursor is among what is shown: at its lease, or where that was. */
export function cursorOf(state: TopState): number {
  return Math.max(0, shownLeases(state).findIndex(({ id }) => id === state.at));
}

/** The state with what the broker tells now; where the lease at the cursor is gone, the cursor stays at its place. */
export function withLeases(state: TopState, leases: readonly LeaseAnswer[]): TopState {
  const next = { ...state, leases };
  const shown = shownLeases(next);
  if (shown.some(({ id }) => id === state.at)) return next;
  // While somebody types why a lease is to end, no other one moves under the hand.
  if (state.mode === 'reason') return { ...next, mode: 'list', typed: '', notice: 'that lease has ended', at: shown[0]?.id ?? null };
  return { ...next, at: shown[Math.min(cursorOf(state), Math.max(0, shown.length - 1))]?.id ?? null };
}

/** What a key does. `page`: rows of the list. Keys are as `readline` names them; a character that is typed is itself. */
export function press(state: TopState, key: string, page: number): { readonly state: TopState; readonly act?: TopAct } {
  if (key === 'ctrl-c') return { state, act: { do: 'quit' } };
  switch (state.mode) {
    case 'help':
      return key === 'q' ? { state, act: { do: 'quit' } } : { state: { ...state, mode: 'list' } };
    case 'filter':
      return { state: typedFilter(state, key) };
    case 'reason':
      return typedReason(state, key);
    case 'list':
      return inList(state, key, page);
    default:
      return state.mode satisfies never;
  }
}

function inList(state: TopState, key: string, page: number): { readonly state: TopState; readonly act?: TopAct } {
  const quiet = { ...state, notice: '' };
  const current = shownLeases(state)[cursorOf(state)];
  switch (key) {
    case 'q':
      return { state, act: { do: 'quit' } };
    case 'up':
    case 'k':
      return { state: moved(quiet, -1) };
    case 'down':
    case 'j':
      return { state: moved(quiet, 1) };
    case 'pageup':
      return { state: moved(quiet, -page) };
    case 'pagedown':
      return { state: moved(quiet, page) };
    case 'home':
      return { state: moved(quiet, -Infinity) };
    case 'end':
      return { state: moved(quiet, Infinity) };
    case '/':
      return { state: { ...quiet, mode: 'filter', typed: state.filter } };
    case '?':
      return { state: { ...quiet, mode: 'help' } };
    case 'r':
      return current === undefined ? { state: { ...quiet, notice: 'there is no lease at the cursor' } } : { state: { ...quiet, mode: 'reason', typed: '', at: current.id } };
    case 't':
      return current === undefined ? { state: quiet } : { state: { ...quiet, tree: current.task_id, filter: '' }, act: { do: 'reload' } };
    case 'escape':
      return state.tree === null ? { state: { ...quiet, filter: '' } } : { state: { ...quiet, tree: null, filter: '' }, act: { do: 'reload' } };
    default:
      return { state };
  }
}

function moved(state: TopState, by: number): TopState {
  const shown = shownLeases(state);
  const index = Math.min(shown.length - 1, Math.max(0, cursorOf(state) + by));
  return { ...state, at: shown[index]?.id ?? null };
}

function typedFilter(state: TopState, key: string): TopState {
  if (key === 'escape') return { ...state, mode: 'list', filter: '', typed: '' };
  if (key === 'enter') return { ...state, mode: 'list', typed: '' };
  const typed = afterKey(state.typed, key);
  return withLeases({ ...state, typed, filter: typed }, state.leases);
}

/** A reason is what confirms: nothing ends by a key alone. */
function typedReason(state: TopState, key: string): { readonly state: TopState; readonly act?: TopAct } {
  if (key === 'escape') return { state: { ...state, mode: 'list', typed: '', notice: 'nothing was revoked' } };
  if (key !== 'enter') return { state: { ...state, typed: afterKey(state.typed, key) } };
  const reason = state.typed.trim();
  if (reason === '' || state.at === null) return { state: { ...state, notice: 'say why, for the record; Esc gives up' } };
  return { state: { ...state, mode: 'list', typed: '', notice: `asking to end ${state.at}` }, act: { do: 'revoke', lease: state.at, reason } };
}

/** At most what the broker takes of free text. */
const MAX_TYPED = 500;

function afterKey(typed: string, key: string): string {
  if (key === 'backspace') return typed.slice(0, -1);
  return Array.from(key).length === 1 && typed.length < MAX_TYPED ? typed + key : typed;
}
