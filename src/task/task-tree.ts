import type { TaskId } from '../core/ids.ts';
import type { Task } from './task.ts';

/** What hangs below one root task, and what all of it has touched. Every task of a tree is in the shard of its root. */
export interface TaskTree {
  readonly root: TaskId;
  /** Goes up with every change; 0 before anything is kept of it. */
  readonly generation: number;
  /** Every delegated task, in the order of its delegation; the root is not among them. */
  readonly nodes: readonly TreeNode[];
  /** Data classes that some task of the tree was granted credentials for. Only ever grows. */
  readonly touched: readonly string[];
}

export interface TreeNode {
  readonly id: TaskId;
  readonly parent: TaskId;
}

/** A tree of which nothing is kept yet. */
export const emptyTree = (root: TaskId): TaskTree => ({ root, generation: 0, nodes: [], touched: [] });

/** The ids of all tasks below one, nearest first. */
export function tasksBelow({ nodes }: Pick<TaskTree, 'nodes'>, top: TaskId): TaskId[] {
  const below = new Set<TaskId>([top]);
  // A set also visits what is added on the way.
  for (const id of below) for (const node of nodes) if (node.parent === id) below.add(node.id);
  below.delete(top);
  return [...below];
}

/** The tree with another task in it. */
export const withNode = (tree: TaskTree, node: TreeNode): TaskTree => ({ ...tree, generation: tree.generation + 1, nodes: [...tree.nodes, node] });

/**
 * The tree after a grant that reaches these data classes; the same object where nothing is new. Kept from the first grant
 * of a task that may touch classified data, so that a deleted record is missed.
 */
export function withGrant(tree: TaskTree, { dataClasses }: Pick<Task, 'dataClasses'>, touches: readonly string[]): TaskTree {
  const touched = [...new Set([...tree.touched, ...touches])].sort();
  const isNew = touched.length > tree.touched.length || (tree.generation === 0 && dataClasses.length > 0);
  return isNew ? { ...tree, generation: tree.generation + 1, touched } : tree;
}
