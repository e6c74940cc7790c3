import type { AuditEvent } from './audit-event.ts';
import type { SealerNotice } from './hash-chain.ts';

/**
 * Facts that may be watched live. A list of what is let through, not of what is held back: free text (a justification, a
 * note, an operator's reason, a tool's name) and whatever a later event brings stay on the audit log alone.
 */
const FACTS = [
  'purpose', 'state', 'outcome', 'actions', 'data_classes', 'evidence', 'expires_at', 'reason', 'revocation', 'selector', 'tasks',
  'lease', 'credential', 'credentials', 'provider', 'kind', 'revocability', 'decision', 'due_at', 'target_expires_at',
  'approvals', 'approvals_needed', 'envelope_digest', 'lock', 'until', 'exposure_ms', 'attempts', 'failure', 'next_try_at', 'lapses_at', 'role', 'version', 'policy_version',
] as const;
const DECISION = ['id', 'result', 'approvals_needed', 'policies', 'policy_version'] as const;

type Facts = Readonly<Record<string, unknown>>;

/** An event as operators may watch it: the audit log's, with fewer facts. The sealer's own notices are whole. */
export function feedEvent(event: AuditEvent | SealerNotice): Facts {
  if (!('facts' in event)) return { ...event };
  const { id, at, type, task, leases, agent, by, trace_id: trace } = event;
  const facts = pick(event.facts, FACTS);
  // Elsewhere a code; here what an operator typed.
  if (type === 'revocation.requested' || type.startsWith('lock.')) delete facts['reason'];
  return { id, at, type, task, leases, agent: agent && name(agent), by: name(by), trace_id: trace ?? null, facts };
}

// A caller has more to it than its name: its role, its instance, when its token ends.
const name = ({ issuer, subject }: AuditEvent['by']): AuditEvent['by'] => ({ issuer, subject });

function pick(facts: Facts, names: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(names.filter((one) => Object.hasOwn(facts, one)).map((one) => [one, inner(one, facts[one])]));
}

function inner(fact: string, value: unknown): unknown {
  if (fact === 'decision' && isFacts(value)) return pick(value, DECISION);
  if (fact === 'credentials' && Array.isArray(value)) return value.filter(isFacts).map((one) => pick(one, FACTS));
  return value;
}

const isFacts = (value: unknown): value is Facts => typeof value === 'object' && value !== null && !Array.isArray(value);
