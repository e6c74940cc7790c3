import { Router, type Request } from 'express';
import { SecurityEventRefused, type SecurityEvent } from '../../identity/security-event.ts';
import { receiveSignal, type ReceiveSignalDeps } from '../../revocation/receive-signal.ts';

export interface SecurityEventRoutesDeps {
  readonly verify: (token: string) => Promise<SecurityEvent>;
  readonly signals: ReceiveSignalDeps;
}

/** `/v1/security-events`: security event tokens by push (RFC 8935). Their signature says who sends them. */
export function securityEventRoutes({ verify, signals }: SecurityEventRoutesDeps): Router {
  const router = Router();

  router.post('/v1/security-events', async (request, response) => {
    try {
      await receiveSignal(await verify(tokenIn(request)), signals);
    } catch (error) {
      if (!(error instanceof SecurityEventRefused)) throw error;
      response.status(400).set('Content-Language', 'en').json({ err: error.err, description: error.message });
      return;
    }
    response.status(202).end();
  });

  return router;
}

function tokenIn(request: Request): string {
  const bytes: unknown = request.body;
  if (!request.is('application/secevent+jwt') || !Buffer.isBuffer(bytes)) throw new SecurityEventRefused('invalid_request', 'send one security event token as application/secevent+jwt');
  return bytes.toString('latin1').trim();
}
