import { Queue, type ConnectionOptions } from 'bullmq';
import { queueName, queuePrefix } from './revocation-queues.ts';

/** Batches of one provider's queue, by what is done with them. */
export interface QueueDepth {
  readonly provider: string;
  readonly waiting: number;
  readonly active: number;
  readonly delayed: number;
  readonly failed: number;
}

/** Reads how full the revocation queues are, whether or not this process works on them. */
export class QueueDepths {
  readonly #queues: ReadonlyMap<string, Queue>;

  /** `connection`: one whose commands fail at once where Redis is away. */
  constructor(connection: ConnectionOptions, providers: Iterable<string>, log: { warn(fields: object, message: string): void }) {
    this.#queues = new Map(
      [...providers].map((provider) => {
        // Who only looks leaves no mark on the queue.
        const queue = new Queue(queueName(provider), { connection, prefix: queuePrefix(provider), skipMetasUpdate: true });
        queue.on('error', (error) => log.warn({ err: error, provider }, 'the depth of a revocation queue'));
        return [provider, queue];
      }),
    );
  }

  read(): Promise<readonly QueueDepth[]> {
    return Promise.all(
      [...this.#queues].map(async ([provider, queue]) => {
        const { waiting = 0, active = 0, delayed = 0, failed = 0 } = await queue.getJobCounts('waiting', 'active', 'delayed', 'failed');
        return { provider, waiting, active, delayed, failed };
      }),
    );
  }

  async close(): Promise<void> {
    await Promise.all([...this.#queues.values()].map((queue) => queue.close()));
  }
}
