import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, open, type FileHandle } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { dirname, resolve } from 'node:path';
import type { Checkpoint } from './checkpoint.ts';
import { linesOf } from './file-lines.ts';
import { checkLine, GENESIS, parseLine, type ChainHead } from './hash-chain.ts';

/** Another process of this machine has the file. */
export class ChainFileBusy extends Error {
  override readonly name = 'ChainFileBusy';
}

/** The file is not as this writer left it: somebody else wrote to it. */
export class ChainFileMoved extends Error {
  override readonly name = 'ChainFileMoved';
}

/** The file ends before, or says otherwise than, what was signed for it. */
export class ChainFileCut extends Error {
  override readonly name = 'ChainFileCut';
}

/** What the file already holds: where it stands, and the last entry of each shard in it. */
export interface Recovered {
  readonly head: ChainHead;
  /** By shard: id and number of the last sealed entry. */
  readonly last: ReadonlyMap<string, { readonly streamId: string; readonly n: number }>;
  /** Ids of the newest events in the file, to tell an entry that comes again. */
  readonly recentIds: readonly string[];
  /** Bytes of a last line that was torn by a crash, now cut off. */
  readonly cutBytes: number;
}

/** Where the sealer writes, and what was written there before. */
export interface ChainSink {
  readonly recovered: Recovered;
  /** Writes lines, and does not answer before they are safe. `head` and `last` are what they lead to. */
  append(lines: string, head: ChainHead, last: Recovered['last']): Promise<void>;
  close(): Promise<void>;
}

/** Events whose ids are remembered. */
export const RECENT_IDS = 100_000;

/**
 * The audit file, opened for appending by one process alone. The exclusion is held by the kernel, as an abstract socket
 * named for the file, so it ends with the process however that dies.
 */
export class ChainFile implements ChainSink {
  readonly #file: FileHandle;
  readonly #lock: Server;
  #size: number;
  readonly recovered: Recovered;

  private constructor(file: FileHandle, lock: Server, size: number, recovered: Recovered) {
    this.#file = file;
    this.#lock = lock;
    this.#size = size;
    this.recovered = recovered;
  }

  /**
   * Opens or creates the file (mode 0600) and reads what it holds. Throws `ChainFileBusy`, or `ChainFileCut` when it does
   * not hold what `signed` vouches for: continuing it would sign over the gap.
   */
  static async open(path: string, signed?: Pick<Checkpoint, 'seq' | 'hash'>): Promise<ChainFile> {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const lock = await acquireLock(resolve(path));
    let file: FileHandle | undefined;
    try {
      file = await open(path, 'a+', 0o600);
      const { recovered, goodBytes, hashAtSigned } = await recover(file, signed?.seq ?? 0);
      if (signed !== undefined && signed.seq > 0 && hashAtSigned !== signed.hash) {
        throw new ChainFileCut(`the audit file does not hold record ${signed.seq} as its last checkpoint signed it: it was cut or rewritten; move it and its checkpoints aside to start anew`);
      }
      if (recovered.cutBytes > 0) await file.truncate(goodBytes);
      return new ChainFile(file, lock, goodBytes, recovered);
    } catch (error) {
      lock.close();
      await file?.close();
      throw error;
    }
  }

  /** Appends lines in one write and waits until they are on the disk. Throws `ChainFileMoved`, or what the disk says. */
  async append(lines: string): Promise<void> {
    const { size } = await this.#file.stat();
    if (size !== this.#size) throw new ChainFileMoved('the audit file was changed by somebody else');
    const bytes = Buffer.from(lines);
    try {
      await this.#file.appendFile(bytes);
      await this.#file.datasync();
    } catch (error) {
      // Whatever part was written is taken back, so that the chain ends in a whole line.
      await this.#file.truncate(this.#size);
      throw error;
    }
    this.#size += bytes.length;
  }

  async close(): Promise<void> {
    await this.#file.close();
    this.#lock.close();
    await once(this.#lock, 'close');
  }
}

async function acquireLock(path: string): Promise<Server> {
  const name = createHash('sha256').update(path).digest('hex').slice(0, 32);
  const server = createServer((socket) => socket.destroy());
  server.listen(`\0mayfly-audit-${name}`);
  try {
    await once(server, 'listening');
  } catch (cause) {
    throw new ChainFileBusy('another process of this machine writes this audit file', { cause });
  }
  server.unref();
  return server;
}

async function recover(file: FileHandle, signedSeq: number): Promise<{ recovered: Recovered; goodBytes: number; hashAtSigned: string | undefined }> {
  const last = new Map<string, { streamId: string; n: number }>();
  const recentIds: string[] = [];
  let head: ChainHead = GENESIS;
  let goodBytes = 0;
  let cutBytes = 0;
  let hashAtSigned: string | undefined;
  for await (const { text, bytes, ended } of linesOf(file.createReadStream({ start: 0, autoClose: false }))) {
    if (!ended) {
      cutBytes = bytes;
      break;
    }
    goodBytes += bytes;
    const checked = checkLine(text, head);
    // A broken chain is for `mayfly audit verify` to find: here it is continued from what its last record says.
    const record = checked.ok ? checked.record : parseLine(text);
    if (record === undefined) continue;
    head = checked.ok ? checked.head : (headOf(text) ?? head);
    if (head.seq === signedSeq) hashAtSigned = head.hash;
    if (record.origin !== null) last.set(record.origin.shard, { streamId: record.origin.stream_id, n: record.origin.n });
    if ('id' in record.event) recentIds.push(record.event.id);
    if (recentIds.length > 2 * RECENT_IDS) recentIds.splice(0, RECENT_IDS);
  }
  return { recovered: { head, last, recentIds: recentIds.slice(-RECENT_IDS), cutBytes }, goodBytes, hashAtSigned };
}

function headOf(line: string): ChainHead | undefined {
  const record = parseLine(line);
  return record === undefined ? undefined : { seq: record.seq, hash: record.hash, epoch: record.epoch };
}
