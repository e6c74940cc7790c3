import { createReadStream } from 'node:fs';
import { linesOf } from './file-lines.ts';
import { parseLine, type ChainRecord } from './hash-chain.ts';

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
  readonly sinceMs?: number;
  readonly untilMs?: number;
}

export interface AuditPage {
  readonly items: readonly (ChainRecord & { readonly hash: string })[];
  /** The last record looked at, where there are more. */
  readonly nextSeq: number | null;
}

/**
 * Reads an audit file and answers what fits. Oldest first, from the record after `afterSeq`; newest first, from the one
 * before it. A line that is no record is passed over: finding it is what verifying is for. Throws what the file system says.
 */
export async function searchAudit(path: string, filter: AuditFilter, options: { readonly afterSeq?: number | undefined; readonly newestFirst: boolean; readonly limit: number }): Promise<AuditPage> {
  const { afterSeq, newestFirst, limit } = options;
  // Cheaper than parsing, and true of every line that can fit.
  const words = [filter.task, filter.lease, filter.agent, filter.purpose].flatMap((word) => (word === undefined ? [] : [JSON.stringify(word)]));
  const found: (ChainRecord & { readonly hash: string })[] = [];
  const inTree = treeMatcher(filter.tree);
  let more = false;
  for await (const { text } of linesOf(createReadStream(path))) {
    if (!words.every((word) => text.includes(word))) continue;
    const record = parseLine(text);
    if (record === undefined || !inTree(record) || !fits(record, filter)) continue;
    if (newestFirst) {
      if (afterSeq !== undefined && record.seq >= afterSeq) break;
      found.push(record);
      if (found.length > limit) {
        found.shift();
        more = true;
      }
    } else if (record.seq > (afterSeq ?? 0)) {
      if (found.length === limit) {
        more = true;
        break;
      }
      found.push(record);
    }
  }
  const items = newestFirst ? found.reverse() : found;
  return { items, nextSeq: more ? (items.at(-1)?.seq ?? null) : null };
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
  if (filter.task === undefined && filter.lease === undefined && filter.agent === undefined && filter.purpose === undefined) return true;
  if (!('id' in event)) return false;
  return (
    (filter.task === undefined || event.task === filter.task) &&
    (filter.lease === undefined || event.leases.some((lease) => lease === filter.lease)) &&
    (filter.agent === undefined || event.agent?.subject === filter.agent || event.by.subject === filter.agent) &&
    (filter.purpose === undefined || event.facts['purpose'] === filter.purpose)
  );
}
