import { open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import type { ChainHead } from './hash-chain.ts';

/** By shard: id and number of the last sealed entry. */
export type LastEntries = ReadonlyMap<string, { readonly streamId: string; readonly n: number }>;

/** Where a chain stands, as a writer left it. */
export interface ChainState {
  readonly head: ChainHead;
  readonly last: LastEntries;
}

const state = z.strictObject({
  head: z.strictObject({ seq: z.int(), hash: z.string(), epoch: z.int() }),
  last: z.record(z.string(), z.strictObject({ streamId: z.string(), n: z.int() })),
});

/** It stands beside its audit file. */
export const stateFileOf = (auditFile: string): string => `${auditFile}.state`;

/** What the file says; undefined where there is none. Throws for a file that is not ours. */
export async function readChainState(path: string): Promise<ChainState | undefined> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if (typeof error === 'object' && error !== null && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  });
  if (text === null) return undefined;
  const { head, last } = state.parse(JSON.parse(text));
  return { head, last: new Map(Object.entries(last)) };
}

/** Writes it as a whole or not at all, and returns when it is on the disk. */
export async function writeChainState(path: string, { head, last }: ChainState): Promise<void> {
  const next = `${path}.next`;
  const file = await open(next, 'w', 0o600);
  try {
    await file.writeFile(JSON.stringify({ head, last: Object.fromEntries(last) }));
    await file.datasync();
  } finally {
    await file.close();
  }
  await rename(next, path);
  await syncFolderOf(path);
}

/** Returns when the names in a file's folder are on the disk. */
export async function syncFolderOf(path: string): Promise<void> {
  const folder = await open(dirname(path));
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
