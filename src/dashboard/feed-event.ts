// What an event on the feed means for the leases on the page. Pure.
import type { Lease, LeaseState } from './answers.ts';

export interface Name {
  readonly issuer: string;
  readonly subject: string;
}

/** An event as `/v1/events` sends it. */
export interface FeedEvent {
  readonly id: string;
  readonly at: string;
  readonly type: string;
  readonly task: string | null;
  readonly leases: readonly string[];
  readonly agent: Name | null;
  readonly by: Name;
  readonly trace_id: string | null;
  readonly facts: Readonly<Record<string, unknown>>;
}

const NOBODY: Name = { issuer: 'mayfly', subject: 'sealer' };

/** An event with all its fields: what the sealer itself has to say (records missing, or not ours) has a type and little else. */
export function completeEvent(id: string, told: Readonly<Partial<FeedEvent>> & { readonly type: string }): FeedEvent {
  const { type, facts, ...others } = told;
  const isNotice = facts === undefined;
  return { id, at: '', task: null, leases: [], agent: null, by: NOBODY, trace_id: null, ...(isNotice ? {} : others), type, facts: facts ?? others };
}

/** `unclear`: the event does not say enough, and the broker has to be asked. */
export type LeaseChange =
  | { readonly is: 'ended'; readonly id: string }
  | { readonly is: 'changed'; readonly id: string; readonly fields: Partial<Lease>; readonly whole: Lease | null }
  | { readonly is: 'unclear'; readonly id: string };

const ENDED = new Set(['lease.revoked', 'lease.lapsed', 'lease.abandoned', 'lease.disclosed']);
const UNCLEAR = new Set(['lease.renewing', 'lease.renewed', 'task.extended', 'lease.lapsing', 'lease.acknowledged', 'lease.undone', 'lease.missing']);

/** What becomes of which lease by an event; nothing where it is about none. */
export function leaseChanges(event: FeedEvent): LeaseChange[] {
  const { type, at, leases, facts } = event;
  if (ENDED.has(type)) return leases.map((id) => ({ is: 'ended', id }));
  if (UNCLEAR.has(type)) return leases.map((id) => ({ is: 'unclear', id }));
  switch (type) {
    case 'task.declared':
    case 'task.claimed':
    case 'lease.intended':
      return described(event).map((fact) => changed(event, fact, 'intended', {}));
    case 'task.activated':
    case 'lease.activated':
      return described(event).map((fact) => changed(event, fact, 'active', { activated_at: at }));
    case 'task.ending':
      return leases.map((id) => ({ is: 'changed', id, fields: { state: 'revoking', revocation_due_at: at }, whole: null }));
    case 'lease.revoking':
      return described(event).map((fact) => changed(event, fact, 'revoking', { revocation_due_at: at, last_failure: textOf(facts, 'failure') }));
    case 'lease.revocation_failed':
      return described(event).map((fact) => changed(event, fact, 'revoking', { last_failure: textOf(facts, 'failure'), next_try_at: textOf(facts, 'next_try_at') }));
    case 'lease.stuck':
      return described(event).map((fact) => changed(event, fact, 'stuck', { last_failure: textOf(facts, 'failure'), next_try_at: textOf(facts, 'next_try_at') }));
    default:
      return [];
  }
}

type Fact = Readonly<Record<string, unknown>>;

/** The leases that an event describes: a list of them, or itself. */
function described({ facts, leases }: FeedEvent): Fact[] {
  const listed = Array.isArray(facts['credentials']) ? (facts['credentials'] as Fact[]) : [facts];
  return listed.filter((fact) => typeof fact['lease'] === 'string' && leases.includes(fact['lease']));
}

function changed(event: FeedEvent, fact: Fact, state: LeaseState, fields: Partial<Lease>): LeaseChange {
  const id = String(fact['lease']);
  const due = textOf(fact, 'due_at');
  const known = { ...fields, state, ...(due === null ? {} : { expires_at: due, target_expires_at: textOf(fact, 'target_expires_at') }) };
  return { is: 'changed', id, fields: known, whole: wholeLease(event, id, fact, known) };
}

/** A lease as the broker would show it; null where the event does not say enough for that. */
function wholeLease({ at, task, agent, facts, trace_id: trace }: FeedEvent, id: string, fact: Fact, known: Partial<Lease> & { readonly state: LeaseState }): Lease | null {
  const { expires_at: expires } = known;
  if (task === null || agent === null || expires === undefined) return null;
  return {
    id,
    task_id: task,
    agent: agent.subject,
    agent_issuer: agent.issuer,
    // The register says that, and no event.
    owner: null,
    review_overdue: false,
    agent_disabled: false,
    purpose: textOf(facts, 'purpose') ?? '',
    credential: textOf(fact, 'credential') ?? '',
    kind: (textOf(fact, 'kind') ?? 'jwt') as Lease['kind'],
    provider: textOf(fact, 'provider') ?? '',
    revocability: (textOf(fact, 'revocability') ?? 'none') as Lease['revocability'],
    created_at: at,
    activated_at: null,
    target_expires_at: null,
    revocation_reason: (textOf(facts, 'reason') ?? null) as Lease['revocation_reason'],
    revocation_due_at: null,
    attempts: 0,
    next_try_at: null,
    last_failure: null,
    ended_at: null,
    applied_at: null,
    verified_at: null,
    effective_by: null,
    exposure_seconds: null,
    exposure_unbounded: false,
    acknowledged: null,
    tool_call: null,
    trace_id: trace,
    ...known,
    expires_at: expires,
  };
}

/** A text among facts; null where it is none. */
export function textOf(facts: Fact, name: string): string | null {
  const value = facts[name];
  return typeof value === 'string' ? value : null;
}
