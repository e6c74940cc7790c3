// What the records of a tree say: which tasks there are, who is below whom, and what became of each. Pure.
import type { AuditRecord } from './answers.ts';
import { textOf } from './feed-event.ts';

export interface StoryTask {
  readonly id: string;
  readonly parent: string | null;
  readonly agent: { readonly issuer: string; readonly subject: string } | null;
  readonly purpose: string;
  /** The last thing that happened to it. */
  readonly state: string;
  readonly endReason: string | null;
  readonly depth: number;
  readonly declared: AuditRecord;
}

const STATES: Readonly<Record<string, string>> = { 'task.claimed': 'minting', 'task.approved': 'approved', 'task.activated': 'active', 'task.ending': 'ending', 'task.ended': 'ended' };

/** Every task that the records declare, a child under its parent. Records come oldest first. */
export function treeOf(records: readonly AuditRecord[]): StoryTask[] {
  const declared = records.filter(({ type, task }) => type === 'task.declared' && task !== null);
  const told = declared.map((record): StoryTask => {
    const id = record.task ?? '';
    const own = records.filter(({ task }) => task === id);
    const moved = own.findLast(({ type }) => STATES[type] !== undefined);
    const ended = own.findLast(({ type }) => type === 'task.ended' || type === 'task.ending');
    return {
      id,
      parent: textOf(record.facts, 'parent'),
      agent: record.agent,
      purpose: textOf(record.facts, 'purpose') ?? '',
      state: STATES[moved?.type ?? ''] ?? textOf(record.facts, 'state') ?? '',
      endReason: textOf(ended?.facts ?? {}, 'reason'),
      depth: 0,
      declared: record,
    };
  });
  const known = new Set(told.map(({ id }) => id));
  const below = Map.groupBy(told, ({ parent }) => (parent !== null && known.has(parent) ? parent : null));
  const walk = (parent: string | null, depth: number): StoryTask[] => (below.get(parent) ?? []).flatMap((task) => [{ ...task, depth }, ...walk(task.id, depth + 1)]);
  return walk(null, 0);
}

/** The root of a task's tree, by its own declaration; null while that is not on record. */
export const rootOf = (records: readonly AuditRecord[], task: string): string | null => textOf(records.find((record) => record.type === 'task.declared' && record.task === task)?.facts ?? {}, 'root');

export const STEPS = ['declared', 'decided', 'minted', 'delivered', 'revoked', 'verified'] as const;
export interface Step {
  readonly name: (typeof STEPS)[number];
  /** When the record says that it happened; null where it has not. */
  readonly at: string | null;
  /** Whether it is true in part: some leases have come so far. */
  readonly isPartial: boolean;
  readonly words: string;
}

/** How far a task has come, from its own records, oldest first. */
export function stepsOf(records: readonly AuditRecord[]): Step[] {
  const first = (...types: string[]): AuditRecord | undefined => records.find(({ type }) => types.includes(type));
  const declared = first('task.declared');
  const decided = records.find(({ facts }) => typeof facts['decision'] === 'object') ?? declared;
  const intended = new Set(records.flatMap(({ type, leases }) => (['task.declared', 'task.claimed', 'lease.intended'].includes(type) ? leases : [])));
  const minted = records.filter(({ type }) => type === 'task.activated' || type === 'lease.activated');
  const ended = records.filter(({ type }) => ['lease.revoked', 'lease.lapsed', 'lease.abandoned', 'lease.disclosed'].includes(type));
  const verified = ended.filter(({ facts }) => textOf(facts, 'verified_at') !== null);
  const lastEnd = ended.at(-1);
  const ofAll = (number: number): string => (intended.size === 0 ? '' : `${number} of ${intended.size}`);
  const mintedLeases = new Set(minted.flatMap(({ leases }) => leases)).size;
  return [
    { name: 'declared', at: declared?.at ?? null, isPartial: false, words: declared?.by.subject ?? '' },
    { name: 'decided', at: decided?.at ?? null, isPartial: false, words: resultOf(decided) },
    { name: 'minted', at: minted[0]?.at ?? null, isPartial: mintedLeases < intended.size, words: ofAll(mintedLeases) },
    // Secrets are in the answer to the call that activates, and in no later one.
    { name: 'delivered', at: minted[0]?.at ?? null, isPartial: mintedLeases < intended.size, words: minted.length > 0 ? 'once, in the answer' : '' },
    { name: 'revoked', at: lastEnd?.at ?? null, isPartial: ended.length < intended.size, words: ofAll(ended.length) },
    { name: 'verified', at: verified.at(-1)?.at ?? null, isPartial: verified.length < intended.size, words: ofAll(verified.length) },
  ];
}

function resultOf(record: AuditRecord | undefined): string {
  const decision = record?.facts['decision'];
  return typeof decision === 'object' && decision !== null ? textOf(decision as Readonly<Record<string, unknown>>, 'result') ?? '' : '';
}
