import { Queue, Worker, type ConnectionOptions, type Telemetry } from 'bullmq';
import type { CredentialProvider } from '../providers/credential-provider.ts';
import { revokeLeases, type DuePair, type RevokeLeasesDeps } from './revoke-leases.ts';
import { withDeadline } from '../core/with-deadline.ts';

export interface RevocationQueuesDeps extends RevokeLeasesDeps {
  /** Connections for BullMQ: unlike the ledger's, these wait for Redis for as long as it takes. */
  readonly connection: ConnectionOptions;
  readonly providers: ReadonlyMap<string, CredentialProvider>;
  /** Takes the trace along with a job; without it a job is in none. */
  readonly telemetry?: Telemetry | undefined;
  /** Batches of one provider worked on at once, by this process. */
  readonly concurrency: number;
  /** One batch may take this long at the target; after it, what was not answered counts as failed. */
  readonly batchTimeoutMs: number;
  readonly log: RevokeLeasesDeps['log'] & { error(fields: object, message: string): void };
}

/** Lock of a job on its worker: short, so that the job of a killed worker is soon somebody else's. */
const LOCK_MS = 15_000;
const STALLED_CHECK_MS = 5_000;
const JOB = 'revoke';

interface Batch {
  readonly leases: readonly DuePair[];
}

/**
 * One BullMQ queue for each provider, so that one sick target starves nobody. A job carries about a hundred pairs of
 * lease id and generation, and where traces are recorded the trace of the sweep, nothing else; the ledger, not the queue, remembers what is owed.
 */
export class RevocationQueues {
  readonly #deps: RevocationQueuesDeps;
  readonly #queues = new Map<string, Queue<Batch>>();
  readonly #workers: Worker<Batch>[] = [];
  readonly #stop = new AbortController();

  constructor(deps: RevocationQueuesDeps) {
    this.#deps = deps;
    for (const provider of deps.providers.keys()) {
      const queue = new Queue<Batch>(queueName(provider), {
        connection: deps.connection,
        prefix: queuePrefix(provider),
        ...traced(deps),
        defaultJobOptions: { removeOnComplete: true, removeOnFail: { count: 100 }, attempts: 1 },
      });
      queue.on('error', (error) => deps.log.warn({ err: error, provider }, 'revocation queue'));
      this.#queues.set(provider, queue);
    }
  }

  /** Starts working on all queues. */
  start(): void {
    for (const provider of this.#deps.providers.values()) {
      const worker = new Worker<Batch>(queueName(provider.name), (job) => this.#work(provider, job.data.leases), {
        connection: this.#deps.connection,
        prefix: queuePrefix(provider.name),
        concurrency: this.#deps.concurrency,
        ...traced(this.#deps),
        lockDuration: LOCK_MS,
        stalledInterval: STALLED_CHECK_MS,
      });
      worker.on('error', (error) => this.#deps.log.warn({ err: error, provider: provider.name }, 'revocation worker'));
      worker.on('failed', (_job, error) => this.#deps.log.error({ err: error, provider: provider.name }, 'revocation batch failed; its leases are due again'));
      this.#workers.push(worker);
    }
  }

  /** Queues a batch. Leases of a provider that is no longer configured stay due, and are told. */
  async dispatch(provider: string, leases: readonly DuePair[]): Promise<void> {
    const queue = this.#queues.get(provider);
    if (queue === undefined) {
      this.#deps.log.error({ provider, leases: leases.length }, 'leases of a provider that is not configured cannot be revoked');
      return;
    }
    await queue.add(JOB, { leases });
  }

  /** Finishes what is in flight, for at most `graceMs`; what is left goes to other workers. */
  async stop(graceMs: number): Promise<void> {
    const timer = setTimeout(() => this.#stop.abort(), graceMs);
    try {
      await Promise.race([Promise.all(this.#workers.map((worker) => worker.close())), aborted(this.#stop.signal)]);
      await Promise.race([Promise.all([...this.#queues.values()].map((queue) => queue.close())), aborted(this.#stop.signal)]);
    } finally {
      clearTimeout(timer);
      if (this.#stop.signal.aborted) {
        await Promise.allSettled([...this.#workers.map((worker) => worker.disconnect()), ...[...this.#queues.values()].map((queue) => queue.disconnect())]);
      }
    }
  }

  async #work(provider: CredentialProvider, leases: readonly DuePair[]): Promise<void> {
    await withDeadline(this.#deps.batchTimeoutMs, this.#stop.signal, (signal) => revokeLeases(provider, leases, signal, this.#deps));
  }
}

export const queueName = (provider: string): string => `revoke-${provider}`;
/** A hash tag of its own, so that a queue's keys share a slot. */
export const queuePrefix = (provider: string): string => `mayfly:{queue-${provider}}`;

const traced = ({ telemetry }: Pick<RevocationQueuesDeps, 'telemetry'>): { telemetry?: Telemetry } => (telemetry === undefined ? {} : { telemetry });

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
