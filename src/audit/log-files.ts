import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { checkpointFileOf } from './checkpoint-file.ts';
import { treeFileOf } from './merkle/tree-file.ts';

/** Where the parts of a log lie. */
export interface LogFiles {
  /** What `auditSegments` takes. */
  readonly records: string;
  readonly checkpoints: string;
  readonly tree: string;
}

/** The parts of a log that is named by its live file, or by the folder that all of it lies in. */
export async function logFilesAt(path: string): Promise<LogFiles> {
  const isFolder = (await stat(path).catch(() => undefined))?.isDirectory() === true;
  const beside = isFolder ? (await readdir(path)).flatMap((name) => /^(.+)\.(?:checkpoints|tree)$/.exec(name)?.[1] ?? []).at(0) : undefined;
  const named = beside === undefined ? path : join(path, beside);
  return { records: path, checkpoints: checkpointFileOf(named), tree: treeFileOf(named) };
}
