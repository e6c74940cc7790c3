import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { once } from 'node:events';
import type { ChainSink, Recovered, SealedBatch } from './chain-sink.ts';
import { readChainState, writeChainState } from './chain-state.ts';
import { GENESIS } from './hash-chain.ts';

/**
 * The chain on a stream, such as standard output, for a collector to keep. Only where it stands is kept here, in a small
 * file, so that the chain goes on after a restart. A crash between the two writes can repeat the last lines: collectors
 * see the same `seq` and `hash` twice.
 */
export class ChainStream implements ChainSink {
  readonly recovered: Recovered;
  /** Nothing is signed of what is not kept. */
  readonly tree = null;
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
    const { head, last } = (await readChainState(path)) ?? { head: GENESIS, last: new Map() };
    return new ChainStream(path, stream, { head, last, recentIds: [], cutBytes: 0 });
  }

  async append({ lines, head, last }: SealedBatch): Promise<void> {
    if (!this.#stream.write(lines)) await once(this.#stream, 'drain');
    await writeChainState(this.#path, { head, last });
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
