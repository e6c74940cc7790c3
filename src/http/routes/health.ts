import { Router } from 'express';

/** Whether a part works; `detail` is for people. */
export interface PartHealth {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
}

export interface HealthRoutesDeps {
  /** Without these nothing can be granted: Redis, keys, configuration. */
  readonly essential: () => Promise<readonly PartHealth[]>;
  /** One lost provider must not take the kill switch out of reach. */
  readonly providers: () => readonly PartHealth[];
  /** Nothing is granted, and all that revokes works. */
  readonly held: () => boolean;
  readonly stopping: () => boolean;
}

/** `/livez` never looks at anything else; `/readyz` names what is missing. */
export function healthRoutes(deps: HealthRoutesDeps): Router {
  const router = Router();

  router.get('/livez', (_request, response) => {
    response.json({ status: 'ok' });
  });

  router.get(['/readyz', '/healthz'], async (_request, response) => {
    const essential = await deps.essential();
    const providers = deps.providers();
    const ready = !deps.stopping() && essential.every((part) => part.ok);
    const degraded = providers.filter((part) => !part.ok).map((part) => part.name);
    const able = deps.held() ? 'held' : degraded.length > 0 ? 'degraded' : 'ok';
    const status = ready ? able : deps.stopping() ? 'stopping' : 'unavailable';
    response.status(ready ? 200 : 503).json({ status, degraded, parts: [...essential, ...providers] });
  });

  return router;
}
