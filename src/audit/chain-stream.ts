import { readFile, rename, writeFile, mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { once } from 'node:events';
import { z } from 'zod';
import type { ChainSink, Recovered } from './chain-file.ts';
import { GENESIS, type ChainHead } from './hash-chain.ts';

const state = z.strictObject({
  head: z.strictObject({ seq: z.int(), hash: z.string(), epoch: z.int() }),
  last: z.record(z.string(), z.strictObject({ streamId: z.string(), n: z.int() })),
});

/**
 * The chain on a stream, such as standard output, for a collector to keep. Only where it stands is kept here, in a small
 * file, so that the chain goes on after a restart. A crash between the two writes can repeat the last lines: collectors
 * see the same `seq` and `hash` twice.
 */
export class ChainStream implements ChainSink {
  readonly recovered: Recovered;
  readonly #path: string;
  readonly #stream: NodeJS.WritableStream;

  private constructor(path: string, stream: NodeJS.WritableStream, recovered: Recovered) {
    this.#path = path;
    this.#stream = stream;
    this.recovered = recovered;
  }

  /** Reads where the chain stands; a new one starts where there is no such file. Throws for a file that is not ours. */
  static async open(path: string, stream: NodeJS.WritableStream): Promise<ChainStream> {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const text = await readFile(path, 'utf8').catch((error: unknown) => {
      if (typeof error === 'object' && error !== null && 'code' in error && error.code === 'ENOENT') return null;
      throw error;
    });
    const { head, last } = text === null ? { head: GENESIS, last: {} } : state.parse(JSON.parse(text));
    return new ChainStream(path, stream, { head, last: new Map(Object.entries(last)), recentIds: [], cutBytes: 0 });
  }

  async append(lines: string, head: ChainHead, last: Recovered['last']): Promise<void> {
    if (!this.#stream.write(lines)) await once(this.#stream, 'drain');
    const next = `${this.#path}.next`;
    await writeFile(next, JSON.stringify({ head, last: Object.fromEntries(last) }), { mode: 0o600 });
    await rename(next, this.#path);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
