import { Problem } from '../core/problem.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { TreeChanged, treeOf } from '../ledger/tree-steps.ts';
import type { Task } from '../task/task.ts';
import type { TaskTree } from '../task/task-tree.ts';

/** Each attempt decides afresh; a tree that changes this often in a row is under attack, or broken. */
const ATTEMPTS = 10;

/**
 * Runs a grant on the tree of its task as it is now, and again where another grant of the tree was quicker: what one task
 * touches at this moment, the decision on another must know. Throws `ledger_unavailable` where that never ends.
 */
export async function inTree<T>(task: Pick<Task, 'root' | 'parent' | 'startedAtMs' | 'dataClasses'>, ledger: Pick<Ledger, 'getTree'>, grant: (tree: TaskTree) => Promise<T>): Promise<T> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const tree = treeOf(task, await ledger.getTree(task.root));
    try {
      return await grant(tree);
    } catch (error) {
      if (!(error instanceof TreeChanged)) throw error;
    }
  }
  throw new Problem('ledger_unavailable', 'the tree of this task keeps changing; try again', { retryAfterSeconds: 1 });
}
