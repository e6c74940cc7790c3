import type { TaskId } from '../core/ids.ts';
import type { Task } from '../task/task.ts';
import { emptyTree, type TaskTree } from '../task/task-tree.ts';
import type { Expectation, Write } from './commit-step.ts';
import { TamperedRecord, type RecordSeal } from './record-seal.ts';
import { treeKey } from './redis-keys.ts';

/**
 * Another grant or end in the same tree was quicker: what was decided on is no longer so. Whoever decided reads the tree
 * again and decides afresh.
 */
export class TreeChanged extends Error {
  override readonly name = 'TreeChanged';

  constructor(root: TaskId) {
    super(`the tree of ${root} changed meanwhile`);
  }
}

/** How long a tree is kept after its last change: as long as its tasks can live and be looked up. */
const LONGEST_LIFE_SECONDS = 2 * 86_400;

/** The tree must still be as it was read. */
export const treeAt = ({ root, generation }: TaskTree): Expectation => ({ key: treeKey(root), generation });

/** The record of a tree that changed; nothing where it did not. */
export function treeWrites(before: TaskTree, after: TaskTree, { seal, retentionSeconds }: { readonly seal: RecordSeal; readonly retentionSeconds: number }): Write[] {
  if (after.generation === before.generation) return [];
  const key = treeKey(after.root);
  const { json, mac } = seal.seal('tree', after.root, after);
  return [
    ['HSET', key, 'generation', after.generation, 'record', json, 'mac', mac],
    ['EXPIRE', key, retentionSeconds + LONGEST_LIFE_SECONDS],
  ];
}

/**
 * The tree of a task as it was read. Throws `TamperedRecord` where there must be one and is not: whoever deletes it would
 * make a task forget what it touched.
 */
export function treeOf(task: Pick<Task, 'root' | 'parent' | 'startedAtMs' | 'dataClasses'>, found: TaskTree | null): TaskTree {
  if (found !== null) return found;
  if (task.parent !== null || (task.startedAtMs !== null && task.dataClasses.length > 0)) throw new TamperedRecord('tree', task.root);
  return emptyTree(task.root);
}
