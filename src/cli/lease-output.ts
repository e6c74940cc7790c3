import { countdown, printable, styled, table, type Cell } from './output.ts';
import type { ListColumns } from './output-flags.ts';

/** A lease as `/v1/leases` tells it. */
export interface LeaseAnswer {
  readonly id: string;
  readonly task_id: string;
  readonly agent: string;
  readonly purpose: string;
  readonly credential: string;
  readonly kind: string;
  readonly provider: string;
  readonly state: string;
  readonly revocability: string;
  readonly created_at: string;
  readonly expires_at: string;
  readonly target_expires_at: string | null;
  readonly revocation_reason: string | null;
  readonly revocation_due_at: string | null;
  readonly attempts: number;
  readonly next_try_at: string | null;
  readonly last_failure: string | null;
  readonly ended_at: string | null;
  readonly exposure_seconds: number | null;
  readonly acknowledged: { readonly by: string; readonly at: string; readonly reason: string } | null;
}

const FINAL = new Set(['revoked', 'lapsed', 'abandoned', 'disclosed']);
/** Within this, a live lease is about to end. */
const SOON_MS = 60_000;

/** Whether nothing more will become of it. */
export const isFinalState = (state: string): boolean => FINAL.has(state);

/** Until it has to be dead, or since when it should be; red where it is late. Of a dead one, when it died. */
export function dueCell({ state, ended_at: ended, revocation_due_at: revocationDue, expires_at: expires }: LeaseAnswer, nowMs: number): Cell {
  if (isFinalState(state)) return ['dim', countdown(ended, nowMs)];
  const due = revocationDue ?? expires;
  const leftMs = Date.parse(due) - nowMs;
  const text = countdown(due, nowMs);
  if (leftMs < 0) return ['red', `overdue ${text.replace(' ago', '')}`];
  return leftMs < SOON_MS ? ['yellow', text] : text;
}

/** Why it ended, behind what became of it: `revoked (on demand)`, where an operator or an identity provider asked. */
export const becauseOf = (reason: string | null): string => (reason === null ? '' : ` (${reason === 'revoked' ? 'on demand' : reason})`);

export const stateCell = (state: string): Cell => (state === 'stuck' ? ['red', state] : state === 'disclosed' ? ['yellow', state] : state);

/** The columns of `leases ls`. */
export const leaseColumns = (nowMs: number): ListColumns<LeaseAnswer> => ({
  header: ['LEASE', 'STATE', 'DUE', 'CREDENTIAL', 'PROVIDER', 'AGENT', 'PURPOSE', 'TRIES'],
  row: (lease) => [lease.id, stateCell(lease.state), dueCell(lease, nowMs), lease.credential, lease.provider, lease.agent, lease.purpose, String(lease.attempts)],
  none: 'no leases',
});

/** One lease in full, a line for each thing that is known of it. */
export function leaseText(lease: LeaseAnswer, nowMs: number): string {
  const due = dueCell(lease, nowMs);
  const rows: readonly (readonly [string, Cell | null])[] = [
    ['state', stateCell(lease.state)],
    ['credential', `${lease.credential} (${lease.kind}) of ${lease.provider}`],
    ['agent', lease.agent],
    ['purpose', lease.purpose],
    ['task', lease.task_id],
    ['revocability', lease.revocability],
    ['made', lease.created_at],
    [isFinalState(lease.state) ? 'ended' : 'due', due],
    ['target ends it', lease.target_expires_at],
    ['ends because', lease.revocation_reason],
    ['tries', lease.attempts === 0 ? null : String(lease.attempts)],
    ['next try', lease.next_try_at],
    ['last failure', lease.last_failure === null ? null : ['red', lease.last_failure]],
    ['exposure', lease.exposure_seconds === null ? null : `${lease.exposure_seconds} s at most`],
    ['seen by', lease.acknowledged === null ? null : `${lease.acknowledged.by} at ${lease.acknowledged.at}: ${lease.acknowledged.reason}`],
  ];
  return table(['LEASE', lease.id], rows.flatMap(([name, cell]): Cell[][] => (cell === null ? [] : [[name, cell]])), '');
}

/** One line for a lease that changed, as `watch` prints it. */
export function leaseLine(lease: LeaseAnswer, nowMs: number): string {
  const due = dueCell(lease, nowMs);
  const state = stateCell(lease.state);
  const padded = typeof state === 'string' ? state.padEnd(9) : styled(state[0], state[1].padEnd(9));
  const left = typeof due === 'string' ? due.padEnd(12) : styled(due[0], due[1].padEnd(12));
  return `${new Date(nowMs).toISOString()}  ${lease.id}  ${padded}  ${left}  ${printable(`${lease.credential}  ${lease.agent}`)}`;
}
