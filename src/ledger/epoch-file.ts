import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import type { KnownEpoch } from './epoch.ts';

/** Where what is known of the ledger is kept outside of it. */
export interface EpochFile {
  /** What was known when the process started; null where nothing was. */
  readonly atStart: KnownEpoch | null;
  /** Keeps it; it is safe when this answers. Throws what the disk says. */
  write(known: KnownEpoch): Promise<void>;
}

/** The file is there, and does not say what it should: whether records were lost cannot be told. */
export class EpochFileBroken extends Error {
  override readonly name = 'EpochFileBroken';

  constructor(path: string, detail: string, cause: unknown) {
    super(`${path} ${detail}; restore it, or remove it if no record in Redis was lost since it was written`, { cause });
  }
}

const knownEpoch = z.strictObject({ number: z.int().min(1), id: z.string().min(1), events: z.record(z.string(), z.int().min(0)) });

/** Reads the file at `path`, which need not exist yet. Throws `EpochFileBroken`. */
export function openEpochFile(path: string): EpochFile {
  return {
    atStart: readEpochFile(path),
    async write(known) {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      // Whole or not at all, and under a name of its own: several processes may share the file.
      const fresh = `${path}.${randomBytes(6).toString('hex')}`;
      try {
        await writeSynced(fresh, `${JSON.stringify(known)}\n`);
        await rename(fresh, path);
      } finally {
        await rm(fresh, { force: true });
      }
    },
  };
}

async function writeSynced(path: string, text: string): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  try {
    await file.writeFile(text);
    await file.datasync();
  } finally {
    await file.close();
  }
}

/** What the file says; null where there is none. Throws `EpochFileBroken`. */
export function readEpochFile(path: string): KnownEpoch | null {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (typeof error === 'object' && error !== null && 'code' in error && error.code === 'ENOENT') return null;
    throw new EpochFileBroken(path, 'cannot be read', error);
  }
  try {
    return knownEpoch.parse(JSON.parse(text));
  } catch (error) {
    throw new EpochFileBroken(path, 'is not what a broker wrote', error);
  }
}
