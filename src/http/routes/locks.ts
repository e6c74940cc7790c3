import { Router, type Request } from 'express';
import { isLockId } from '../../core/ids.ts';
import { Problem } from '../../core/problem.ts';
import type { Authenticator } from '../../identity/caller.ts';
import type { Ledger } from '../../ledger/ledger.ts';
import type { LockStatus } from '../../ledger/locks.ts';
import { parseLockRequest, placeLock, type PlaceLockDeps } from '../../revocation/place-lock.ts';
import { revocationProgress, type ProgressLedger } from '../../revocation/revocation-progress.ts';
import { authenticateOperator } from '../authenticate.ts';
import { lockView } from '../lock-view.ts';
import { jsonBody } from '../read-json.ts';
import { revocationView } from '../revocation-view.ts';

export interface LockRoutesDeps {
  readonly authenticator: Authenticator;
  readonly ledger: ProgressLedger & Pick<Ledger, 'listLocks' | 'liftLock'>;
  readonly locks: PlaceLockDeps;
}

/** Results of the revocation that are shown with a new lock; the others are with the revocation. */
const FIRST_RESULTS = 500;

/** `/v1/locks`: the kill switch. */
export function lockRoutes(deps: LockRoutesDeps): Router {
  const router = Router();

  router.post('/v1/locks', async (request, response) => {
    const { issuer, subject } = await authenticateOperator(request, deps.authenticator, 'operator');
    const wanted = parseLockRequest(jsonBody(request));
    const { lock, revocation } = await placeLock(wanted, { issuer, subject }, deps.locks);
    const progress = revocation === null ? null : await revocationProgress(revocation, { from: 0, limit: FIRST_RESULTS }, deps.ledger);
    response
      .status(201)
      .location(`/v1/locks/${lock.id}`)
      .json({
        lock: lockView({ lock, everywhere: true }),
        revocation: progress === null ? null : revocationView(progress),
      });
  });

  router.get('/v1/locks', async (request, response) => {
    await authenticateOperator(request, deps.authenticator, 'viewer');
    const locks = await deps.ledger.listLocks();
    response.json({ items: locks.map(lockView), next_cursor: null });
  });

  router.get('/v1/locks/:id', async (request, response) => {
    await authenticateOperator(request, deps.authenticator, 'viewer');
    response.json({ lock: lockView(await lockInPath(request, deps.ledger)) });
  });

  router.delete('/v1/locks/:id', async (request, response) => {
    const { issuer, subject } = await authenticateOperator(request, deps.authenticator, 'operator');
    const status = await lockInPath(request, deps.ledger);
    if (status.lock.disables !== undefined) throw new Problem('lock_of_agent', `an admin lifts it by enabling the agent ${status.lock.disables}`);
    await deps.ledger.liftLock(status.lock.id, { issuer, subject });
    response.json({ lock: lockView(status) });
  });

  return router;
}

async function lockInPath(request: Request, ledger: Pick<Ledger, 'listLocks'>): Promise<LockStatus> {
  const id = String(request.params['id']);
  const status = isLockId(id) ? (await ledger.listLocks()).find(({ lock }) => lock.id === id) : undefined;
  if (status === undefined) throw new Problem('not_found', 'there is no such lock; it may have expired');
  return status;
}
