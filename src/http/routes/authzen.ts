import { Router, type Request, type RequestHandler, type Response } from 'express';
import type { Config } from '../../config/config-schema.ts';
import { Problem } from '../../core/problem.ts';
import { answerAuthzen, answerAuthzenBatch, type AnswerOptions } from '../../grant/answer-authzen.ts';
import { parseAuthzen, parseAuthzenBatch } from '../../grant/authzen-request.ts';
import type { EvaluatePolicyDeps } from '../../grant/evaluate-policy.ts';
import { sameWorkload, type Authenticator } from '../../identity/caller.ts';
import { authenticate } from '../authenticate.ts';
import { jsonBody } from '../read-json.ts';

export interface AuthzenRoutesDeps {
  readonly authenticator: Authenticator;
  readonly evaluate: EvaluatePolicyDeps;
  readonly authzen: { readonly callers: Config['authzen']['callers']; readonly url: string | undefined };
}

const EVALUATION = '/access/v1/evaluation';
const EVALUATIONS = '/access/v1/evaluations';

/** Policy as an AuthZEN 1.0 policy decision point, for operators and for the enforcement points that configuration lists. */
export function authzenRoutes({ authenticator, evaluate, authzen }: AuthzenRoutesDeps): Router {
  const router = Router();
  router.use('/access/v1', echoRequestId);

  router.post(EVALUATION, async (request, response) => {
    const options = await optionsOf(request, authenticator, authzen);
    response.json(await answerAuthzen(parseAuthzen(authzenBody(request)), options, evaluate));
  });

  router.post(EVALUATIONS, async (request, response) => {
    const options = await optionsOf(request, authenticator, authzen);
    const body = authzenBody(request);
    const batch = parseAuthzenBatch(body);
    // Section 7.1: without items it is a single request, and is answered as one.
    const single = batch.evaluations === undefined || batch.evaluations.length === 0;
    response.json(single ? await answerAuthzen(parseAuthzen(body), options, evaluate) : await answerAuthzenBatch(batch, options, evaluate));
  });

  router.get('/.well-known/authzen-configuration', (_request, response) => {
    const { url } = authzen;
    if (url === undefined) throw new Problem('not_found', 'this broker has no authzen.url and no http.public_url that is one, so it is not known as a policy decision point');
    response.set('Cache-Control', 'public, max-age=300').json({
      policy_decision_point: url,
      access_evaluation_endpoint: `${url}${EVALUATION}`,
      access_evaluations_endpoint: `${url}${EVALUATIONS}`,
    });
  });

  return router;
}

/** Who asks, and so how much of an answer it is shown. Throws `forbidden` for a workload that is no enforcement point. */
async function optionsOf(request: Request, authenticator: Authenticator, { callers }: AuthzenRoutesDeps['authzen']): Promise<AnswerOptions> {
  const caller = await authenticate(request, authenticator);
  if (caller.kind === 'operator') return { shows: 'policies' };
  if (callers.some((known) => sameWorkload(known, caller))) return { shows: 'reasons' };
  throw new Problem('forbidden', 'this is for operators and for the policy enforcement points that authzen.callers lists');
}

/** The JSON of a request. All that is wrong with a body is a 400 here (section 10.1.2), its type and its absence too. */
function authzenBody(request: Request): unknown {
  try {
    return jsonBody(request);
  } catch (error) {
    if (!(error instanceof Problem) || error.code !== 'unsupported_media_type') throw error;
    throw new Problem('invalid_evaluation', error.message);
  }
}

/** Ids that an enforcement point may get back as they came (section 10.1.3): whatever can stand in a header and is no essay. */
const ECHOED = /^[\x21-\x7e]{1,256}$/;

const echoRequestId: RequestHandler = (request, response: Response, next) => {
  const given = request.get('x-request-id');
  if (given !== undefined && ECHOED.test(given)) response.set('X-Request-Id', given);
  next();
};
