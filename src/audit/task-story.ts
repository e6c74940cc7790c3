import type { AuditEvent } from './audit-event.ts';

/** What the record says of one lease: when it was there, when it was dead, and how that is known. */
export interface LeaseStory {
  readonly lease: string;
  readonly credential: string;
  readonly grantedAt: string | null;
  readonly endedAt: string | null;
  /** `revoked`, `lapsed`, `abandoned`, `disclosed`, or `live` where no end is on the record. */
  readonly outcome: string;
  readonly reason: string | null;
  /** How long it stayed usable after it should have ended, at most; ms. */
  readonly exposureMs: number | null;
}

/** One thing that was decided: by policy, or by a human. */
export interface DecisionStory {
  readonly at: string;
  readonly what: string;
  readonly by: string;
  readonly result: string;
  readonly policies: readonly string[];
  readonly policyVersion: string | null;
  readonly reason: string | null;
}

/** What the record says of one task. */
export interface TaskStory {
  readonly task: string;
  readonly parent: string | null;
  readonly agent: string;
  readonly chain: readonly string[];
  readonly declarer: string;
  readonly evidence: string;
  readonly vouchedBy: string | null;
  readonly subject: string | null;
  readonly purpose: string;
  readonly actions: readonly string[];
  readonly dataClasses: readonly string[];
  readonly declaredAt: string;
  readonly decisions: readonly DecisionStory[];
  readonly leases: readonly LeaseStory[];
  readonly endedAt: string | null;
  readonly endReason: string | null;
  readonly endedBy: string | null;
}

/** Who was allowed what, why, by which rule, on whose word, and when it died: for each task of a tree, parents first. */
export interface TreeStory {
  readonly tasks: readonly TaskStory[];
  /** Refusals that made no task. */
  readonly refusals: readonly DecisionStory[];
}

type Facts = AuditEvent['facts'];

/** Tells the story of a tree from its records, oldest first. Pure. */
export function tellStory(events: readonly AuditEvent[]): TreeStory {
  const tasks = events.filter(({ type }) => type === 'task.declared').map((declared) => storyOf(declared, events.filter(({ task }) => task === declared.task)));
  const known = new Set(tasks.map(({ task }) => task));
  return { tasks, refusals: events.filter(({ task }) => task === null || !known.has(task)).flatMap(decisionOf) };
}

function storyOf(declared: AuditEvent, own: readonly AuditEvent[]): TaskStory {
  const { facts } = declared;
  const ending = own.find(({ type }) => type === 'task.ending');
  const ended = own.find(({ type }) => type === 'task.ended');
  return {
    task: declared.task ?? '',
    parent: textOf(facts, 'parent'),
    agent: declared.agent?.subject ?? '',
    chain: listOf(facts, 'chain').flatMap((link) => textOf(link, 'subject') ?? []),
    declarer: textOf(recordOf(facts, 'declarer'), 'subject') ?? declared.by.subject,
    evidence: own.map((event) => textOf(event.facts, 'evidence')).findLast((word) => word !== null) ?? 'self_declared',
    vouchedBy: textOf(facts, 'vouched_by'),
    subject: textOf(facts, 'subject'),
    purpose: textOf(facts, 'purpose') ?? '',
    actions: wordsOf(facts, 'actions'),
    dataClasses: wordsOf(facts, 'data_classes'),
    declaredAt: declared.at,
    decisions: own.flatMap(decisionOf),
    leases: leasesOf(own),
    endedAt: ended?.at ?? null,
    endReason: textOf(ended?.facts ?? {}, 'reason') ?? textOf(ending?.facts ?? {}, 'reason'),
    endedBy: ending?.by.subject ?? null,
  };
}

/** What was decided in an event, if anything was. */
function decisionOf({ at, type, by, facts }: AuditEvent): DecisionStory[] {
  const common = { at, what: type, by: by.subject };
  const decision = recordOf(facts, 'decision');
  if (decision['result'] !== undefined) {
    const reasons = wordsOf(decision, 'reasons');
    return [{ ...common, result: textOf(decision, 'result') ?? '', policies: wordsOf(decision, 'policies'), policyVersion: textOf(decision, 'policy_version'), reason: reasons[0] ?? null }];
  }
  const byHand = { ...common, policies: [], policyVersion: null };
  switch (type) {
    case 'task.approved':
      return [{ ...byHand, result: 'approved', reason: textOf(facts, 'note') }];
    case 'task.approval_denied':
      return [{ ...byHand, result: 'denied', reason: textOf(facts, 'note') }];
    case 'task.claim_refused':
    case 'task.approval_refused':
      return [{ ...byHand, result: 'refused', reason: textOf(facts, 'reason') }];
    case 'delegation.refused':
      return [{ ...byHand, result: 'refused', reason: listOf(facts, 'faults').map((fault) => `${textOf(fault, 'pointer') ?? ''} ${textOf(fault, 'detail') ?? ''}`.trim()).join('; ') }];
    case 'grant.locked':
      return [{ ...byHand, result: 'locked', reason: null }];
    default:
      return [];
  }
}

const ENDS: Readonly<Record<string, string>> = { 'lease.revoked': 'revoked', 'lease.lapsed': 'lapsed', 'lease.abandoned': 'abandoned', 'lease.disclosed': 'disclosed' };

function leasesOf(own: readonly AuditEvent[]): LeaseStory[] {
  const leases = new Map<string, LeaseStory>();
  for (const { at, type, leases: ids, facts } of own) {
    for (const one of [...listOf(facts, 'credentials'), facts]) {
      const lease = textOf(one, 'lease');
      const credential = textOf(one, 'credential');
      if (lease === null || credential === null || !ids.some((id) => id === lease)) continue;
      const before = leases.get(lease) ?? { lease, credential, grantedAt: null, endedAt: null, outcome: 'live', reason: null, exposureMs: null };
      const outcome = ENDS[type];
      leases.set(lease, {
        ...before,
        grantedAt: before.grantedAt ?? (type === 'task.activated' || type === 'lease.activated' ? at : null),
        reason: textOf(one, 'reason') ?? before.reason,
        ...(outcome === undefined ? {} : { outcome, endedAt: at, exposureMs: numberOf(one, 'exposure_ms') }),
      });
    }
  }
  return [...leases.values()];
}

const textOf = (facts: Facts, name: string): string | null => (typeof facts[name] === 'string' ? facts[name] : null);
const numberOf = (facts: Facts, name: string): number | null => (typeof facts[name] === 'number' ? facts[name] : null);
const isRecord = (value: unknown): value is Facts => typeof value === 'object' && value !== null && !Array.isArray(value);
const recordOf = (facts: Facts, name: string): Facts => (isRecord(facts[name]) ? facts[name] : {});
const listOf = (facts: Facts, name: string): Facts[] => (Array.isArray(facts[name]) ? (facts[name] as unknown[]).filter(isRecord) : []);
const wordsOf = (facts: Facts, name: string): string[] => (Array.isArray(facts[name]) ? (facts[name] as unknown[]).filter((word) => typeof word === 'string') : []);
