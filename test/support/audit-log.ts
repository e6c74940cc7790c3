import { appendRecord, GENESIS, type ChainHead } from '../../src/audit/hash-chain.ts';
import type { AuditEvent, AuditEventType } from '../../src/audit/audit-event.ts';

/** An event as a test states it; whatever is left out is plain. */
export interface StatedEvent {
  /** `HH:MM` or `HH:MM:SS` of 6 January 2026, or a whole RFC 3339 instant. */
  readonly at: string;
  /** When it was sealed, in the same words; at once when absent. */
  readonly sealed?: string;
  readonly type: AuditEventType;
  readonly task?: string;
  readonly leases?: readonly string[];
  readonly agent?: string;
  readonly by?: string;
  readonly facts?: Readonly<Record<string, unknown>>;
}

const ISSUER = 'https://issuer.example';

export const instantOf = (text: string): string => (text.includes('T') ? text : `2026-01-06T${text.length === 5 ? `${text}:00` : text}.000Z`);

let counter = 0;

/** Lines of a genuine chain, each with its line feed, and the head after them. */
export function chainOf(events: readonly StatedEvent[], from: ChainHead = GENESIS): { readonly lines: string[]; readonly head: ChainHead } {
  const lines: string[] = [];
  let head = from;
  for (const { at, sealed = at, type, task = null, leases = [], agent = null, by = agent ?? 'agent:somebody', facts = {} } of events) {
    counter += 1;
    const event = {
      id: `evt_${counter}`, at: instantOf(at), type, task, leases, agent: agent === null ? null : { issuer: ISSUER, subject: agent }, by: { issuer: ISSUER, subject: by }, facts,
    } as unknown as AuditEvent;
    const next = appendRecord(head, { sealed_at: instantOf(sealed), epoch: 1, origin: { shard: 'a', stream_id: `${counter}-0`, n: counter }, event });
    lines.push(next.line);
    head = next.head;
  }
  return { lines, head };
}

const DECISION = { id: 'dec_1', result: 'permit', policies: ['refunds-mint'], policy_version: 'sha256:abc', reasons: [] };

/** A task from its declaration to its end, with one credential. */
export function taskEvents(task: string, agent: string, { from, to }: { readonly from: string; readonly to: string | null }): StatedEvent[] {
  const lease = task.replace('tsk', 'lse');
  const one = { lease, credential: 'orders-db', provider: 'vault-main', revocability: 'exact', due_at: instantOf('23:00') };
  const common = { task, agent, leases: [lease] };
  return [
    { ...common, at: from, type: 'task.declared', facts: { purpose: 'refund-investigation', root: task, parent: null, chain: [], declarer: { issuer: ISSUER, subject: agent }, actions: ['read'], data_classes: ['pii'], evidence: 'self_declared', credentials: [one], decision: DECISION, parts: [{ credential: 'orders-db', action: 'mint', result: 'permit', policies: ['refunds-mint'] }] } },
    { ...common, at: from, type: 'task.activated', facts: { purpose: 'refund-investigation', credentials: [one] } },
    ...(to === null
      ? []
      : [
          { ...common, at: to, type: 'task.ending' as const, facts: { purpose: 'refund-investigation', reason: 'completed' } },
          { ...common, at: to, type: 'lease.revoked' as const, by: 'due-sweep', facts: { purpose: 'refund-investigation', ...one, reason: 'completed', exposure_ms: 12, verified_at: instantOf(to) } },
          { ...common, at: to, type: 'task.ended' as const, leases: [], facts: { purpose: 'refund-investigation', reason: 'completed' } },
        ]),
  ];
}
