import type { AuditEvent } from './audit-event.ts';
import { listOf, numberOf, textOf, type Facts } from './event-facts.ts';

/** What the record says of one lease: when it was there, when it was dead, and how that is known. */
export interface LeaseStory {
  readonly lease: string;
  readonly credential: string;
  readonly provider: string | null;
  readonly revocability: string | null;
  readonly granted_at: string | null;
  /** When it was to be dead, as last said. */
  readonly due_at: string | null;
  readonly ended_at: string | null;
  /** `revoked`, `lapsed`, `abandoned`, `disclosed`, `stuck`, or `live` where no end is on the record. */
  readonly outcome: string;
  /** Why it ended: `completed`, `expired`, `revoked`, ... */
  readonly reason: string | null;
  /** When the target, asked again, knew it no longer. */
  readonly verified_at: string | null;
  /** By when the target enforces its end everywhere. */
  readonly effective_by: string | null;
  /** How long it stayed usable after it should have ended, at most. */
  readonly exposure_seconds: number | null;
  /** The tool call it was asked for. */
  readonly tool_call: string | null;
}

const ENDS: Readonly<Record<string, string>> = { 'lease.revoked': 'revoked', 'lease.lapsed': 'lapsed', 'lease.abandoned': 'abandoned', 'lease.disclosed': 'disclosed' };

/** The leases of a task, from all its events, oldest first. Pure. */
export function leasesOf(own: readonly AuditEvent[]): LeaseStory[] {
  const leases = new Map<string, LeaseStory>();
  for (const event of own) {
    for (const one of [...listOf(event.facts, 'credentials'), ...listOf(event.facts, 'renewed'), event.facts]) {
      const lease = textOf(one, 'lease');
      const credential = textOf(one, 'credential');
      if (lease === null || credential === null || !event.leases.some((id) => id === lease)) continue;
      leases.set(lease, told(leases.get(lease) ?? unheard(lease, credential), event, one));
    }
  }
  return [...leases.values()];
}

const unheard = (lease: string, credential: string): LeaseStory => ({
  lease, credential, provider: null, revocability: null, granted_at: null, due_at: null, ended_at: null, outcome: 'live', reason: null, verified_at: null, effective_by: null, exposure_seconds: null, tool_call: null,
});

function told(before: LeaseStory, { at, type }: AuditEvent, facts: Facts): LeaseStory {
  const exposureMs = numberOf(facts, 'exposure_ms');
  const end = ENDS[type];
  return {
    ...before,
    provider: textOf(facts, 'provider') ?? before.provider,
    revocability: textOf(facts, 'revocability') ?? before.revocability,
    granted_at: before.granted_at ?? (type === 'task.activated' || type === 'lease.activated' ? at : null),
    due_at: textOf(facts, 'due_at') ?? before.due_at,
    reason: textOf(facts, 'reason') ?? before.reason,
    tool_call: toolOf(facts) ?? before.tool_call,
    ...(type === 'lease.stuck' ? { outcome: 'stuck' } : {}),
    ...(end === undefined ? {} : { outcome: end, ended_at: at, verified_at: textOf(facts, 'verified_at'), effective_by: textOf(facts, 'effective_by'), exposure_seconds: exposureMs === null ? null : exposureMs / 1_000 }),
  };
}

const toolOf = (facts: Facts): string | null => {
  const call = facts['tool_call'];
  return typeof call === 'object' && call !== null && 'tool' in call && typeof call.tool === 'string' ? call.tool : null;
};
