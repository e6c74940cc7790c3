import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { access, mkdir, open, rename, stat, type FileHandle } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { dirname, resolve } from 'node:path';
import type { ChainSink, Recovered, SealedBatch } from './chain-sink.ts';
import { stateFileOf, syncFolderOf, writeChainState, type ChainState } from './chain-state.ts';
import type { Checkpoint } from './checkpoint.ts';
import type { TreeFile } from './merkle/tree-file.ts';
import { recoverChain, type RecoveredLog } from './recover-chain.ts';

/** Another process of this machine has the file. */
export class ChainFileBusy extends Error {
  override readonly name = 'ChainFileBusy';
}

/** The file is not as this writer left it: somebody else wrote to it. */
export class ChainFileMoved extends Error {
  override readonly name = 'ChainFileMoved';
}

export interface ChainFileOptions {
  /** What the log must hold. */
  readonly signed?: Pick<Checkpoint, 'size' | 'hash'> | undefined;
  /** A file that has grown to so many bytes is moved aside; never when absent. */
  readonly rotateBytes?: number | undefined;
}

/** Records after which is noted where the log stands: a start reads no more than these afresh. */
const MARK_EVERY = 5_000;
/** Digits of the first record in the name of a file that was moved aside, so that names sort as records do. */
const SEQ_DIGITS = 12;

/**
 * The audit file, opened for appending by one process alone. The exclusion is held by the kernel, as an abstract socket
 * named for the file, so it ends with the process however that dies. The log goes on in a new file when this one has grown large, or was
 * moved aside by somebody else; chain and tree go on across files.
 */
export class ChainFile implements ChainSink {
  readonly #path: string;
  readonly #lock: Server;
  readonly #tree: TreeFile;
  readonly #rotateBytes: number;
  #file: FileHandle;
  #inode: number;
  #size: number;
  #firstSeq: number;
  #state: ChainState;
  #unmarked = 0;
  readonly recovered: Recovered;

  private constructor(path: string, lock: Server, opened: OpenedFile, { tree, firstSeq, recovered }: RecoveredLog, rotateBytes: number) {
    this.#path = path;
    this.#lock = lock;
    this.#tree = tree;
    this.#rotateBytes = rotateBytes;
    this.#file = opened.file;
    this.#inode = opened.inode;
    this.#size = opened.size;
    this.#firstSeq = firstSeq;
    this.#state = recovered;
    this.recovered = { ...recovered, cutBytes: opened.cutBytes };
  }

  /**
   * Opens or creates the file (mode 0600) and finds where its log stands. Throws `ChainFileBusy`, or `ChainFileCut` when it does
   * not hold what was signed.
   */
  static async open(path: string, { signed, rotateBytes = Infinity }: ChainFileOptions = {}): Promise<ChainFile> {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const lock = await acquireLock(resolve(path));
    let opened: OpenedFile | undefined;
    try {
      opened = await openWhole(path);
      return new ChainFile(path, lock, opened, await recoverChain(path, signed), rotateBytes);
    } catch (error) {
      lock.close();
      await opened?.file.close();
      throw error;
    }
  }

  get tree(): { readonly size: number; readonly root: Buffer } {
    return { size: this.#tree.size, root: this.#tree.root };
  }

  /** Appends records in one write and waits until they are on the disk. Throws `ChainFileMoved`, or what the disk says. */
  async append({ lines, hashes, head, last }: SealedBatch): Promise<void> {
    await this.#follow();
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
    this.#tree.append(hashes.map((hash) => Buffer.from(hash, 'hex')));
    this.#state = { head, last: new Map(last) };
    this.#unmarked += hashes.length;
    if (this.#size >= this.#rotateBytes) await this.#rotate();
    else if (this.#unmarked >= MARK_EVERY) await this.#mark();
  }

  async close(): Promise<void> {
    try {
      await this.#mark();
    } finally {
      this.#tree.close();
      await this.#file.close();
      this.#lock.close();
      await once(this.#lock, 'close');
    }
  }

  /** Notes where the log stands, once its tree is on the disk up to there. */
  async #mark(): Promise<void> {
    if (this.#unmarked === 0) return;
    await this.#tree.sync();
    await writeChainState(stateFileOf(this.#path), this.#state);
    this.#unmarked = 0;
  }

  /** Moves the file aside. Killed in between, the next start finds by the mark where the log goes on. */
  async #rotate(): Promise<void> {
    await this.#mark();
    const aside = `${this.#path}.${String(this.#firstSeq).padStart(SEQ_DIGITS, '0')}`;
    if (await exists(aside)) throw new ChainFileMoved(`${aside} is there already`);
    await rename(this.#path, aside);
    await this.#follow();
  }

  /** Goes on in a new file where this one is no longer the one of that name: it was moved aside, by us or by who rotates logs. */
  async #follow(): Promise<void> {
    const found = await stat(this.#path).catch(() => undefined);
    if (found?.ino === this.#inode) return;
    await this.#mark();
    const next = await openWhole(this.#path);
    if (next.size + next.cutBytes > 0) {
      await next.file.close();
      throw new ChainFileMoved('another file stands in the place of the audit file');
    }
    await syncFolderOf(this.#path);
    await this.#file.close();
    [this.#file, this.#inode, this.#size, this.#firstSeq] = [next.file, next.inode, 0, this.#state.head.seq + 1];
  }
}

interface OpenedFile {
  readonly file: FileHandle;
  readonly inode: number;
  /** Up to the end of its last whole line. */
  readonly size: number;
  readonly cutBytes: number;
}

/** Opens or creates a file, and cuts off a last line that does not end. */
async function openWhole(path: string): Promise<OpenedFile> {
  const file = await open(path, 'a+', 0o600);
  const { size, ino } = await file.stat();
  const whole = await endOfLastLine(file, size);
  if (whole < size) await file.truncate(whole);
  return { file, inode: ino, size: whole, cutBytes: size - whole };
}

const LINE_FEED = 0x0a;
const CHUNK_BYTES = 64 * 1024;

async function endOfLastLine(file: FileHandle, size: number): Promise<number> {
  for (let end = size; end > 0; ) {
    const from = Math.max(0, end - CHUNK_BYTES);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(end - from), 0, end - from, from);
    const at = buffer.subarray(0, bytesRead).lastIndexOf(LINE_FEED);
    if (at !== -1) return from + at + 1;
    end = from;
  }
  return 0;
}

const exists = (path: string): Promise<boolean> => access(path).then(() => true, () => false);

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
