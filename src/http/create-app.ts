import express, { type Express, type RequestHandler } from 'express';
import { Problem } from '../core/problem.ts';
import type { TamperedRecord } from '../ledger/record-seal.ts';
import { methodNotAllowed } from './method-not-allowed.ts';
import { OAUTH_ENDPOINTS, oauthErrorResponse } from './oauth/oauth-error-response.ts';
import { notFound, problemResponse, type ErrorLog } from './problem-response.ts';
import { readBody } from './read-json.ts';
import { requestId } from './request-id.ts';
import { agentRoutes, type AgentRoutesDeps } from './routes/agents.ts';
import { approvalRoutes, type ApprovalRoutesDeps } from './routes/approvals.ts';
import { auditRoutes, type AuditRoutesDeps } from './routes/audit.ts';
import { authzenRoutes, type AuthzenRoutesDeps } from './routes/authzen.ts';
import { dashboardRoutes } from './routes/dashboard.ts';
import { eventRoutes, type EventRoutesDeps } from './routes/events.ts';
import { healthRoutes, type HealthRoutesDeps } from './routes/health.ts';
import { holdRoutes, type HoldRoutesDeps } from './routes/hold.ts';
import { leaseRoutes, type LeaseRoutesDeps } from './routes/leases.ts';
import { lockRoutes, type LockRoutesDeps } from './routes/locks.ts';
import { oauthRoutes, type OAuthRoutesDeps } from './routes/oauth.ts';
import { overviewRoutes, type OverviewRoutesDeps } from './routes/overview.ts';
import { policyRoutes, type PolicyRoutesDeps } from './routes/policy.ts';
import { reconciliationRoutes, type ReconciliationRoutesDeps } from './routes/reconciliations.ts';
import { referenceRoutes } from './routes/reference.ts';
import { refusalPage } from './sign-in/refusal-page.ts';
import { revocationRoutes, type RevocationRoutesDeps } from './routes/revocations.ts';
import { securityEventRoutes, type SecurityEventRoutesDeps } from './routes/security-events.ts';
import { signInRoutes, type SignInRoutesDeps } from './routes/sign-in.ts';
import { taskRoutes, type TaskRoutesDeps } from './routes/tasks.ts';
import { webhookRoutes, type WebhookRoutesDeps } from './routes/webhooks.ts';
import { whoamiRoutes } from './routes/whoami.ts';
import { requestTraceOf, routeOf, traceRequest } from './trace-request.ts';

export interface AppDeps {
  readonly health: HealthRoutesDeps;
  readonly tasks: Omit<TaskRoutesDeps, 'stopping'>;
  readonly approvals: ApprovalRoutesDeps;
  readonly audit: AuditRoutesDeps;
  readonly leases: LeaseRoutesDeps;
  readonly overview: OverviewRoutesDeps;
  readonly policy: PolicyRoutesDeps;
  readonly authzen: AuthzenRoutesDeps;
  readonly revocations: RevocationRoutesDeps;
  readonly locks: LockRoutesDeps;
  readonly agents: AgentRoutesDeps;
  readonly hold: HoldRoutesDeps;
  readonly reconciliations: ReconciliationRoutesDeps;
  readonly oauth: OAuthRoutesDeps;
  readonly events: EventRoutesDeps;
  readonly signIn: SignInRoutesDeps;
  readonly webhooks: WebhookRoutesDeps;
  readonly securityEvents: SecurityEventRoutesDeps;
  readonly version: string;
  /** Addresses and networks whose word for who asks is believed. */
  readonly trustedProxies: readonly string[];
  /** Whether tokens that are bound to a key can be used here. */
  readonly offersDpop: boolean;
  readonly log: ErrorLog;
  readonly onTampered: (error: TamperedRecord) => void;
  readonly observeRequest: (observation: { route: string; method: string; status: number; seconds: number; traceId: string }) => void;
}

/** The HTTP interface. Routes by area are in `routes/`; every failure ends in one problem document. */
export function createApp(deps: AppDeps): Express {
  const app = express();
  app.disable('x-powered-by');
  // `request.ip` then is the last address that none of them has.
  app.set('trust proxy', deps.trustedProxies);
  // Answers change from one call to the next and can hold a secret: nothing is cached, nothing is compared.
  app.disable('etag');
  app.use(requestId, traceRequest, observeRequests(deps.observeRequest), noStore);
  app.use(healthRoutes(deps.health));
  app.use(referenceRoutes(deps.version));
  app.use(refuseWhenStopping(deps.health.stopping), readBody);
  app.use(taskRoutes({ ...deps.tasks, stopping: deps.health.stopping }));
  app.use(approvalRoutes(deps.approvals));
  app.use(leaseRoutes(deps.leases));
  app.use(overviewRoutes(deps.overview));
  app.use(auditRoutes(deps.audit));
  app.use(revocationRoutes(deps.revocations));
  app.use(lockRoutes(deps.locks));
  app.use(agentRoutes(deps.agents));
  app.use(holdRoutes(deps.hold));
  app.use(reconciliationRoutes(deps.reconciliations));
  app.use(policyRoutes(deps.policy));
  app.use(authzenRoutes(deps.authzen));
  app.use(oauthRoutes(deps.oauth));
  app.use(eventRoutes(deps.events));
  app.use(webhookRoutes(deps.webhooks));
  app.use(securityEventRoutes(deps.securityEvents));
  app.use(whoamiRoutes(deps.events));
  app.use(signInRoutes(deps.signIn));
  app.use(dashboardRoutes());
  app.use(methodNotAllowed(), notFound);
  app.use(OAUTH_ENDPOINTS, oauthErrorResponse(deps.log, deps.onTampered));
  app.use('/auth', refusalPage(deps.log, deps.onTampered));
  app.use(problemResponse(deps.log, deps.onTampered, { offersDpop: deps.offersDpop, resource: deps.oauth.publicUrl }));
  return app;
}

/** Only `/livez` and `/readyz`, for a process that serves nothing else. */
export function createHealthApp(health: HealthRoutesDeps): Express {
  const app = express();
  app.disable('x-powered-by');
  app.use(healthRoutes(health));
  return app;
}

/** A kept-alive connection can bring a request after the stop: another replica shall have it. */
const refuseWhenStopping =
  (stopping: () => boolean): RequestHandler =>
  (_request, response, next) => {
    if (stopping()) {
      response.set('Connection', 'close');
      throw new Problem('shutting_down', 'this replica is stopping; ask again', { retryAfterSeconds: 1 });
    }
    next();
  };

const noStore: RequestHandler = (_request, response, next) => {
  response.set({ 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff' });
  next();
};

/** Measures each request under its route's pattern, never its path: an id in a label would grow without bound. */
function observeRequests(observe: AppDeps['observeRequest']): RequestHandler {
  return (request, response, next) => {
    const startedMs = performance.now();
    response.once('finish', () => {
      // A stream lasts as long as somebody watches, and who wants to wait waits: that is no latency.
      if (/^(text\/event-stream|application\/x-ndjson)\b/.test(String(response.getHeader('content-type'))) || response.hasHeader('preference-applied')) return;
      observe({
        route: routeOf(request.route),
        method: request.method,
        status: response.statusCode,
        seconds: (performance.now() - startedMs) / 1000,
        traceId: requestTraceOf(response),
      });
    });
    next();
  };
}
