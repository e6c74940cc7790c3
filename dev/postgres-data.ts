import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';

const KEPT = join(dirname(import.meta.dirname), '.mayfly/postgres-data');

export interface FreshDataOptions {
  /** The folder with `initdb`. */
  readonly bin: string;
  /** Where the data goes. Must not exist. */
  readonly data: string;
  /** Whom the data belongs to. */
  readonly uid: number | undefined;
  /** Runs a program as that user. */
  readonly asOwner: (command: string, args: readonly string[]) => Promise<unknown>;
  /** Runs a program as who we are. */
  readonly asSelf: (command: string, args: readonly string[]) => Promise<unknown>;
}

/**
 * The data of a new PostgreSQL: no passwords yet, and none asked of whoever comes by its socket. `initdb` takes a second of CPU,
 * so it runs once and what it made is kept below `.mayfly`; after that it is copied.
 */
export async function freshData({ bin, data, uid, asOwner, asSelf }: FreshDataOptions): Promise<void> {
  const kept = join(KEPT, await nameOf(join(bin, 'initdb'), uid));
  if (existsSync(kept)) {
    await asSelf('cp', ['-a', kept, data]);
    return;
  }
  await asOwner(join(bin, 'initdb'), [
    ...['--pgdata', data, '--username', 'postgres', '--auth-local', 'trust', '--auth-host', 'scram-sha-256'],
    ...['--encoding', 'UTF8', '--locale', 'C', '--wal-segsize', '1', '--no-sync', '--no-instructions'],
  ]);
  // Where it cannot be kept, each is made anew.
  await keep(data, kept, asSelf).catch(() => undefined);
}

async function keep(data: string, kept: string, asSelf: FreshDataOptions['asSelf']): Promise<void> {
  await mkdir(KEPT, { recursive: true, mode: 0o700 });
  const draft = await mkdtemp(join(KEPT, 'draft-'));
  try {
    await asSelf('cp', ['-a', data, join(draft, 'data')]);
    // In one step, so that nobody copies half of it; whoever comes second is refused.
    await rename(join(draft, 'data'), kept);
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

/** Another `initdb` makes other data, and a server refuses what belongs to another user. */
async function nameOf(initdb: string, uid: number | undefined): Promise<string> {
  const { size, mtimeMs } = await stat(initdb);
  return createHash('sha256').update([initdb, size, mtimeMs, uid].join(' ')).digest('hex').slice(0, 16);
}
