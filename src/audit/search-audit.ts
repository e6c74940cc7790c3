import { overSegments, type AuditSegment } from './audit-segments.ts';
import type { ChainRecord } from './hash-chain.ts';
import { linesOverRotations } from './lines-over-rotations.ts';
import { blocksBackward, linesForward, statedRecord, type AuditRange, type StatedRecord } from './read-range.ts';

/** Which records are wanted; all that is given must fit. */
export interface AuditFilter {
  readonly task?: string;
  /** A root task: all of its tree, itself included, and what was refused there. */
  readonly tree?: string;
  readonly lease?: string;
  /** A subject: of the agent, or of whoever did it. */
  readonly agent?: string;
  readonly purpose?: string;
  /** An event type, or all that begin with it and a dot. */
  readonly type?: string;
  /** Id of a decision, or what it was: `permit`, `deny`, `approval_required`. */
  readonly decision?: string;
  /** Who answers for the agent, by the register or by the caller's token. */
  readonly owner?: string;
  /** W3C trace id of a call, wherever in the record. */
  readonly traceId?: string;
  /** Anywhere in the record, in these very letters. */
  readonly text?: string;
  readonly sinceMs?: number;
  readonly untilMs?: number;
}

export interface AuditPage {
  readonly items: readonly StatedRecord[];
  /** The last record of the page, where there are more. */
  readonly nextSeq: number | null;
}

export interface SearchOptions {
  readonly afterSeq?: number | undefined;
  readonly newestFirst: boolean;
  readonly limit: number;
}

/**
 * Answers what fits in an audit log, rotated files included. Oldest first, from the record after `afterSeq`; newest first, from the one
 * before it. A line that is no record is passed over: finding it is what verifying is for. Throws what the file system says.
 */
export function searchAudit(path: string, filter: AuditFilter, options: SearchOptions): Promise<AuditPage> {
  return overSegments(path, (segments) => search(segments, filter, options));
}

async function search(segments: readonly AuditSegment[], filter: AuditFilter, { afterSeq, newestFirst, limit }: SearchOptions): Promise<AuditPage> {
  const range = rangeOf(filter);
  const found: StatedRecord[] = [];
  if (!newestFirst) {
    const after = filter.tree === undefined ? { afterSeq } : {};
    for await (const record of matching(linesForward(segments, { ...range, ...after }), filter)) {
      if (record.seq > (afterSeq ?? 0)) found.push(record);
      if (found.length > limit) break;
    }
    return pageOf(found, limit);
  }
  const before = { ...range, beforeSeq: afterSeq };
  const blocks = filter.tree === undefined ? blocksBackward(segments, before) : [linesForward(segments, before)];
  for await (const block of blocks) {
    const inBlock: StatedRecord[] = [];
    for await (const record of matching(block, filter)) {
      inBlock.push(record);
      // A whole file can be a block; its last records are wanted, no more.
      if (inBlock.length > 4 * limit) inBlock.splice(0, inBlock.length - limit - 1);
    }
    found.push(...inBlock.reverse().slice(0, limit + 1 - found.length));
    if (found.length > limit) break;
  }
  return pageOf(found, limit);
}

/** What has to be read. What belongs to a tree is only known from its start, whenever what is wanted of it happened. */
const rangeOf = ({ tree, sinceMs, untilMs }: AuditFilter): AuditRange => ({ untilMs, ...(tree === undefined ? { sinceMs } : {}) });

function pageOf(found: readonly StatedRecord[], limit: number): AuditPage {
  const items = found.slice(0, limit);
  return { items, nextSeq: found.length > limit ? (items.at(-1)?.seq ?? null) : null };
}

/** All that fits, oldest first, as it is read: for more than fits in memory. Files may be rotated meanwhile. `onLine` is told of every line that is looked at; what it throws ends the reading. */
export async function* recordsOf(path: string, filter: AuditFilter, onLine: (line: string) => void = () => undefined): AsyncGenerator<StatedRecord> {
  yield* matching(telling(linesOverRotations(path, rangeOf(filter)), onLine), filter);
}

async function* telling(lines: AsyncIterable<string>, onLine: (line: string) => void): AsyncGenerator<string> {
  for await (const line of lines) {
    onLine(line);
    yield line;
  }
}

async function* matching(lines: AsyncIterable<string>, filter: AuditFilter): AsyncGenerator<StatedRecord> {
  // Cheaper than parsing, and true of every line that can fit.
  const words = [filter.task, filter.lease, filter.agent, filter.purpose, filter.decision, filter.owner, filter.traceId].flatMap((word) => (word === undefined ? [] : [JSON.stringify(word)]));
  if (filter.text !== undefined) words.push(JSON.stringify(filter.text).slice(1, -1));
  const inTree = treeMatcher(filter.tree);
  const tells = (line: string): boolean => filter.tree !== undefined && line.includes('"task.declared"');
  for await (const line of lines) {
    if (!words.every((word) => line.includes(word)) && !tells(line)) continue;
    const record = statedRecord(line);
    if (record !== undefined && inTree(record) && fits(record, filter)) yield record;
  }
}

/** Learns which tasks are below the root as they are declared: a child stands after its parent. */
function treeMatcher(root: string | undefined): (record: ChainRecord) => boolean {
  if (root === undefined) return () => true;
  const members = new Set<string>([root]);
  return ({ event }) => {
    if (!('id' in event)) return false;
    const { task, facts } = event;
    if (event.type === 'task.declared' && task !== null && facts['root'] === root) members.add(task);
    const chain = Array.isArray(facts['chain']) ? (facts['chain'] as readonly { readonly task?: unknown }[]) : [];
    return (task !== null && members.has(task)) || chain[0]?.task === root;
  };
}

function fits({ event, sealed_at: sealedAt }: ChainRecord, filter: AuditFilter): boolean {
  const atMs = Date.parse('at' in event ? event.at : sealedAt);
  if (filter.sinceMs !== undefined && atMs < filter.sinceMs) return false;
  if (filter.untilMs !== undefined && atMs >= filter.untilMs) return false;
  if (filter.type !== undefined && event.type !== filter.type && !event.type.startsWith(`${filter.type}.`)) return false;
  const { task, lease, agent, purpose, decision, owner } = filter;
  if ([task, lease, agent, purpose, decision, owner].every((word) => word === undefined)) return true;
  if (!('id' in event)) return false;
  const { facts } = event;
  const told = memberOf(facts, 'decision');
  return (
    (task === undefined || event.task === task) &&
    (lease === undefined || event.leases.some((one) => one === lease)) &&
    (agent === undefined || event.agent?.subject === agent || event.by.subject === agent) &&
    (purpose === undefined || facts['purpose'] === purpose) &&
    (decision === undefined || facts['decision'] === decision || told['id'] === decision || told['result'] === decision) &&
    (owner === undefined || facts['owner'] === owner || memberOf(facts, 'caller')['owner'] === owner)
  );
}

const memberOf = (facts: Readonly<Record<string, unknown>>, name: string): Readonly<Record<string, unknown>> =>
  typeof facts[name] === 'object' && facts[name] !== null ? (facts[name] as Record<string, unknown>) : {};
