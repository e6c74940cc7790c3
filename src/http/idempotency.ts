import type { Request, Response } from 'express';
import { digestOf } from '../core/canonical-json.ts';
import type { Shard } from '../core/ids.ts';
import { Problem } from '../core/problem.ts';
import type { Workload } from '../identity/caller.ts';
import { idempotencySlot, type HeldSlot } from '../ledger/idempotency.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { invalidRequest } from '../task/declaration.ts';
import { mayOnTask } from '../task/task-access.ts';
import { credentialView, taskView } from './task-view.ts';

export type IdempotencyLedger = Pick<Ledger, 'takeSlot' | 'giveBackSlot' | 'getTask' | 'getLeases'>;

/** One call that a caller may repeat under an `Idempotency-Key`. */
export interface RepeatableCall {
  readonly caller: Workload;
  /** Names the call, and the task it is about: the same key elsewhere is another key. */
  readonly call: string;
  readonly body: unknown;
  /** Of the task the call is about; absent where the call makes the task. */
  readonly shard?: Shard;
}

/** Printable ASCII, as header values are; long enough for any UUID or digest. */
const KEY = /^[\x21-\x7e]{1,255}$/;

/**
 * Runs a granting call once for its `Idempotency-Key`. The first is answered by `run`; a repetition gets what was
 * granted, without any secret; one that comes while the first still runs is told so, and another body is refused. What
 * failed is forgotten: it may be tried again under the same key. Without the header it just runs.
 */
export async function once(request: Request, response: Response, { caller, call, body, shard }: RepeatableCall, ledger: IdempotencyLedger, run: (slot?: HeldSlot) => Promise<void>): Promise<void> {
  const key = request.get('idempotency-key');
  if (key === undefined) return run();
  if (!KEY.test(key)) throw invalidRequest([{ pointer: '', detail: 'the header Idempotency-Key must be 1 to 255 printable characters without spaces' }]);
  const taken = await ledger.takeSlot(idempotencySlot(caller, call, key, digestOf(body), shard));
  switch (taken.state) {
    case 'mismatch':
      throw new Problem('idempotency_mismatch', 'this Idempotency-Key came with another body before; use a new key for a new request');
    case 'running':
      throw stillRunning();
    case 'granted':
      return replay(taken, caller, ledger, response);
    case 'first':
      try {
        await run(taken.slot);
        return;
      } catch (error) {
        // One that cannot be forgotten now is forgotten by itself, when a mint would have been given up.
        await ledger.giveBackSlot(taken.slot).catch(() => undefined);
        throw error;
      }
    default:
      return taken satisfies never;
  }
}

async function replay(granted: { readonly task: Parameters<Ledger['getTask']>[0]; readonly leases: Parameters<Ledger['getLeases']>[0] }, caller: Workload, ledger: IdempotencyLedger, response: Response): Promise<void> {
  const [task, found] = await Promise.all([ledger.getTask(granted.task), ledger.getLeases(granted.leases)]);
  const leases = found.filter((lease) => lease !== null);
  if (task === null || !mayOnTask('get', task, caller)) throw new Problem('not_found', 'the task of this Idempotency-Key is no longer kept');
  if (task.state === 'minting' || leases.some(({ state }) => state === 'intended')) throw stillRunning();
  response
    .set('Idempotency-Replayed', 'true')
    .location(`/v1/tasks/${task.id}`)
    .json({ task: taskView(task), credentials: leases.map(credentialView) });
}

const stillRunning = (): Problem =>
  new Problem('idempotency_in_progress', 'the first request with this Idempotency-Key is still running; ask again', { retryAfterSeconds: 1 });
