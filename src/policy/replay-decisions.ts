import { setImmediate as yieldToOthers } from 'node:timers/promises';
import { walkChain, type ChainStanding } from '../audit/walk-chain.ts';
import type { Decision, PolicyEngine } from './decision.ts';
import { jointAnswer } from './joint-answer.ts';
import { recordedDecision, type RecordedDecision, type Unreplayable, type UnreplayableDecision } from './recorded-decisions.ts';

/** What a set would do otherwise to what was asked. */
export type ReplayChange = 'would_deny' | 'would_need_approval' | 'would_permit' | 'other_policies';

export interface ReplayFilter {
  readonly sinceMs?: number;
  readonly untilMs?: number;
  /** A subject. */
  readonly agent?: string;
  readonly purpose?: string;
}

export interface ReplayExample {
  readonly decision: string;
  readonly task: string | null;
  readonly at: string;
  readonly seq: number;
}

/** Decisions that differ alike: in the same way, by the same policies, for the same agent and purpose. */
export interface ReplayGroup {
  readonly change: ReplayChange;
  readonly recorded: { readonly result: Decision['result']; readonly policies: readonly string[] };
  readonly replayed: { readonly result: Decision['result']; readonly approvals_needed: number; readonly policies: readonly string[]; readonly reasons: readonly string[]; readonly fault: string | null };
  readonly agent: string;
  readonly purpose: string;
  readonly count: number;
  readonly first_at: string;
  readonly last_at: string;
  readonly examples: readonly ReplayExample[];
}

export interface ReplayReport {
  readonly policy_version: string;
  readonly chain: ChainStanding;
  /** Decisions that fit and were asked again. */
  readonly replayed: number;
  readonly unchanged: number;
  readonly changed: Readonly<Record<ReplayChange, number>>;
  readonly cannot_be_replayed: { readonly total: number; readonly reasons: Readonly<Record<Unreplayable, number>>; readonly examples: readonly (Omit<ReplayExample, 'decision'> & { readonly decision: string | null; readonly reason: Unreplayable })[] };
  /** The largest first. */
  readonly groups: readonly ReplayGroup[];
  /** Groups beyond `maxGroups`, which are counted and not shown. */
  readonly groups_left_out: number;
  /** Set where reading stopped at the most decisions that may be replayed at once. */
  readonly stopped_at: string | null;
}

export interface ReplayOptions {
  readonly filter: ReplayFilter;
  readonly examples: number;
  readonly maxGroups: number;
  readonly maxDecisions: number;
  /** Bytes of the file read, from time to time. */
  readonly onProgress?: (progress: { readonly bytes: number; readonly decisions: number }) => void;
}

/** Decisions between two breaths, so that whoever else this process serves does not wait. */
const BREATH = 10;
const NONE: Readonly<Record<ReplayChange, number>> = { would_deny: 0, would_need_approval: 0, would_permit: 0, other_policies: 0 };

/**
 * Asks a set again what the record says was asked, and tells where its answer differs. What cannot be asked again is
 * counted with the reason, and the chain is verified on the way. Throws what the file system says.
 */
export async function replayDecisions(engine: PolicyEngine, auditFile: string, options: ReplayOptions): Promise<ReplayReport> {
  const { filter, examples, maxGroups, maxDecisions, onProgress } = options;
  const walk = walkChain(auditFile);
  const groups = new Map<string, GrowingGroup>();
  const changed = { ...NONE };
  const lost = { total: 0, reasons: { not_recorded: 0, unreadable: 0, other_digest: 0 }, examples: [] as ReplayReport['cannot_be_replayed']['examples'][number][] };
  let replayed = 0;
  let stoppedAt: string | null = null;
  for await (const record of walk.records) {
    const found = recordedDecision(record);
    if (found === undefined || !fits(found, filter)) continue;
    if (found.kind === 'unreplayable') {
      lost.total += 1;
      lost.reasons[found.reason] += 1;
      if (lost.examples.length < examples) lost.examples.push({ decision: found.id, task: found.task, at: found.at, seq: found.seq, reason: found.reason });
      continue;
    }
    if (replayed === maxDecisions) {
      stoppedAt = found.at;
      break;
    }
    replayed += 1;
    const change = ask(engine, found);
    if (change !== null) {
      changed[change.change] += 1;
      grow(groups, change, found, examples);
    }
    if (replayed % BREATH === 0) {
      onProgress?.({ bytes: walk.bytesRead(), decisions: replayed });
      await yieldToOthers();
    }
  }
  const ordered = [...groups.values()].sort((a, b) => b.count - a.count || a.first_at.localeCompare(b.first_at));
  return {
    policy_version: engine.version,
    chain: walk.standing(),
    replayed,
    unchanged: replayed - Object.values(changed).reduce((sum, count) => sum + count, 0),
    changed,
    cannot_be_replayed: lost,
    groups: ordered.slice(0, maxGroups),
    groups_left_out: Math.max(0, ordered.length - maxGroups),
    stopped_at: stoppedAt,
  };
}

type Difference = Pick<ReplayGroup, 'change' | 'recorded' | 'replayed'>;
type GrowingGroup = { -readonly [Key in keyof ReplayGroup]: ReplayGroup[Key] } & { examples: ReplayExample[] };

function ask(engine: PolicyEngine, { questions, result, policies }: RecordedDecision): Difference | null {
  const decisions = questions.map((question) => engine.decide(question));
  const { approvalsNeeded, ...answer } = jointAnswer(decisions);
  const now = { ...answer, approvals_needed: approvalsNeeded, fault: decisions.find(({ fault }) => fault !== null)?.fault ?? null };
  const change = changeOf({ result, policies }, now);
  return change === null ? null : { change, recorded: { result, policies }, replayed: now };
}

function changeOf(before: Pick<Decision, 'result' | 'policies'>, after: Pick<Decision, 'result' | 'policies'>): ReplayChange | null {
  if (before.result === after.result) return before.policies.join('\n') === after.policies.join('\n') ? null : 'other_policies';
  if (after.result === 'deny') return 'would_deny';
  return after.result === 'permit' ? 'would_permit' : 'would_need_approval';
}

function grow(groups: Map<string, GrowingGroup>, difference: Difference, { id, task, at, seq, agent, purpose }: RecordedDecision, examples: number): void {
  const { recorded, replayed } = difference;
  const key = JSON.stringify([recorded.result, recorded.policies, replayed.result, replayed.policies, replayed.fault, agent, purpose]);
  const group = groups.get(key) ?? { ...difference, agent, purpose, count: 0, first_at: at, last_at: at, examples: [] };
  groups.set(key, group);
  group.count += 1;
  group.last_at = at;
  if (group.examples.length < examples) group.examples.push({ decision: id, task, at, seq });
}

function fits({ at, agent, purpose }: RecordedDecision | UnreplayableDecision, filter: ReplayFilter): boolean {
  const atMs = Date.parse(at);
  return (
    (filter.sinceMs === undefined || atMs >= filter.sinceMs) &&
    (filter.untilMs === undefined || atMs < filter.untilMs) &&
    (filter.agent === undefined || agent === filter.agent) &&
    (filter.purpose === undefined || purpose === filter.purpose)
  );
}
