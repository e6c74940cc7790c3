import { walkChain, type ChainStanding } from '../../audit/walk-chain.ts';
import type { AuditEvent } from '../../audit/audit-event.ts';
import { recordedDecision } from '../recorded-decisions.ts';
import type { Evidence } from './evidence.ts';

/** A credential that was granted, as the audit log tells of it. */
export interface GrantedLease {
  readonly id: string;
  readonly agent: string;
  readonly purpose: string;
  readonly credential: string;
  readonly kind: string;
  /** Empty where the record does not say. */
  readonly actions: readonly string[];
  readonly createdMs: number;
  /** When it was to end. */
  readonly dueMs: number;
  /** When its end was asked for; null while it lives. */
  readonly endedMs: number | null;
}

export interface GrantedLeases {
  readonly leases: readonly GrantedLease[];
  /** Tool calls that agents reported with the lease they used. */
  readonly toolCalls: readonly Evidence[];
  /** Tool calls that name no lease. */
  readonly toolCallsWithoutLease: number;
  readonly chain: ChainStanding;
}

const INTENDED: readonly string[] = ['task.declared', 'task.claimed', 'lease.intended'];
const ENDING: readonly string[] = ['task.ending', 'lease.revoking', 'lease.revoked', 'lease.lapsed'];

/** What was granted in a time, and how its use was reported. Never minted is not granted. Throws what the file system says. */
export async function readGrantedLeases(auditFile: string, { sinceMs, untilMs }: { readonly sinceMs: number; readonly untilMs: number }): Promise<GrantedLeases> {
  const leases = new Map<string, GrantedLease>();
  const actions = new Map<string, readonly string[]>();
  const toolCalls: Evidence[] = [];
  let toolCallsWithoutLease = 0;
  const walk = walkChain(auditFile);
  for await (const record of walk.records) {
    const { event } = record;
    if (!('facts' in event)) continue;
    const atMs = Date.parse(event.at);
    if (INTENDED.includes(event.type)) {
      const asked = recordedDecision(record);
      const declared = asked?.kind === 'decision' ? asked.questions[0]?.actions : wordsOf(event.facts['actions']);
      if (event.task !== null && declared !== undefined && declared.length > 0) actions.set(event.task, declared);
      for (const lease of intendedBy(event, atMs, actions.get(event.task ?? '') ?? [])) {
        if (atMs >= sinceMs && atMs < untilMs) leases.set(lease.id, lease);
      }
    } else if (event.type === 'lease.abandoned') for (const id of event.leases) leases.delete(id);
    else if (ENDING.includes(event.type)) {
      for (const id of event.leases) {
        const lease = leases.get(id);
        if (lease?.endedMs === null) leases.set(id, { ...lease, endedMs: Math.min(atMs, lease.dueMs) });
      }
    } else if (event.type === 'tool_call.reported' && atMs >= sinceMs && atMs < untilMs) {
      const [lease] = event.leases;
      if (lease === undefined) toolCallsWithoutLease += 1;
      else toolCalls.push(toolCallOf(lease, event, atMs));
    }
  }
  return { leases: [...leases.values()], toolCalls, toolCallsWithoutLease, chain: walk.standing() };
}

function intendedBy({ agent, facts, type }: AuditEvent, atMs: number, actions: readonly string[]): GrantedLease[] {
  const told = type === 'lease.intended' ? [facts] : Array.isArray(facts['credentials']) ? (facts['credentials'] as unknown[]).filter(isFacts) : [];
  return told.flatMap(({ lease, credential, kind, due_at: dueAt }) => {
    if (typeof lease !== 'string' || typeof credential !== 'string' || typeof dueAt !== 'string') return [];
    const purpose = typeof facts['purpose'] === 'string' ? facts['purpose'] : '';
    return [{ id: lease, agent: agent?.subject ?? '', purpose, credential, kind: typeof kind === 'string' ? kind : '', actions, createdMs: atMs, dueMs: Date.parse(dueAt), endedMs: null }];
  });
}

function toolCallOf(lease: string, { facts }: AuditEvent, atMs: number): Evidence {
  const call = isFacts(facts['tool_call']) ? facts['tool_call'] : {};
  const endedAt = typeof facts['ended_at'] === 'string' ? Date.parse(facts['ended_at']) : atMs;
  return { lease, atMs: endedAt, effect: 'unknown', what: typeof call['tool'] === 'string' ? call['tool'] : 'tool', objects: [], refused: facts['outcome'] === 'refused' };
}

const wordsOf = (value: unknown): string[] | undefined => (Array.isArray(value) ? value.filter((word) => typeof word === 'string') : undefined);
const isFacts = (value: unknown): value is Readonly<Record<string, unknown>> => typeof value === 'object' && value !== null && !Array.isArray(value);
