import { circuitBreaker, ConsecutiveBreaker, ExponentialBackoff, handleAll, isBrokenCircuitError } from 'cockatiel';
import pLimit from 'p-limit';
import type { Config, ExternalPolicyConfig } from '../config/config-schema.ts';
import { withDeadline } from '../core/with-deadline.ts';
import { createOutboundFetch, type OutboundFetch } from '../identity/outbound-fetch.ts';
import { inSpan } from '../telemetry/in-span.ts';
import { askDecisionPoint, type AskPoint, type PointAnswer } from './ask-decision-point.ts';
import type { PolicyQuestion } from './decision.ts';
import { externalQuestion } from './external-question.ts';

/** What another decision point made of a grant that our own policy permits. */
export interface ExternalAnswer {
  readonly kind: ExternalPolicyConfig['kind'];
  readonly verdict: 'permit' | 'deny' | 'unavailable';
  /** What its author published for the caller. */
  readonly reason: string | null;
  /** Why it could not be asked: for the record, never for the caller. */
  readonly fault: string | null;
  /** What its answers are called in its own decision log: for the record, never for the caller. */
  readonly decisionIds: readonly string[];
  /** Of all its questions together, ms. */
  readonly tookMs: number;
}

/** Another decision point, asked after ours: it can refuse, never permit what ours does not. Never throws. */
export interface ExternalPolicy {
  ask(questions: readonly PolicyQuestion[]): Promise<ExternalAnswer>;
}

export interface ExternalPolicyDeps {
  readonly fetch: OutboundFetch;
  readonly clock: { monotonicMs(): number };
  readonly observe: (answer: ExternalAnswer) => void;
}

/** One failure can be chance; three in a row are a decision point that is away. */
const FAILURES_TO_OPEN = 3;
const FIRST_PROBE_AFTER_MS = 500;
/** Nobody gets anything until it is back, so it is looked for more often than a provider. */
const LONGEST_PROBE_AFTER_MS = 5_000;
/** The questions of one grant that are asked at once. */
const AT_ONCE = 8;

/**
 * Asks the configured decision point about every credential, all within its time-out. One no is a no; what is no plain yes
 * or no, or does not come in time, is `unavailable`, which nobody may take for a yes. One that failed several times in a row is
 * left alone for a moment, so that a dead one holds no request for its whole time-out.
 */
export function createExternalPolicy(config: ExternalPolicyConfig, { fetch, clock, observe }: ExternalPolicyDeps): ExternalPolicy {
  const ask = askDecisionPoint(config, fetch);
  const breaker = circuitBreaker(handleAll, {
    breaker: new ConsecutiveBreaker(FAILURES_TO_OPEN),
    halfOpenAfter: new ExponentialBackoff({ initialDelay: FIRST_PROBE_AFTER_MS, maxDelay: LONGEST_PROBE_AFTER_MS }),
  });
  return {
    async ask(questions) {
      const startedMs = clock.monotonicMs();
      const answered = await breaker
        .execute(() => inSpan('ask the external decision point', { calls: true, facts: { 'rpc.system': config.kind } }, () => withDeadline(config.timeout_ms, undefined, (signal) => askAll(ask, questions, signal))))
        .then(verdictOf, (error: unknown) => ({ verdict: 'unavailable', reason: null, fault: faultOf(error), decisionIds: [] }) as const);
      const answer = { kind: config.kind, ...answered, tookMs: Math.round(clock.monotonicMs() - startedMs) };
      observe(answer);
      return answer;
    },
  };
}

/** The way out to the decision point of a configuration, and to nothing else. */
export function createPolicyFetch({ url, ca_file: caFile }: ExternalPolicyConfig, { environment, outbound }: Pick<Config, 'environment' | 'outbound'>): OutboundFetch {
  return createOutboundFetch({
    environment,
    allowHosts: [new URL(url).host],
    // In development it is on loopback, and must be.
    allowPrivateAddresses: outbound.allow_private_addresses || environment === 'development',
    caFor: () => caFile,
  });
}

/** Every answer that came; one no is enough. Throws where one could not be had and none is a no. */
async function askAll(ask: AskPoint, questions: readonly PolicyQuestion[], signal: AbortSignal): Promise<readonly PointAnswer[]> {
  const turn = pLimit(AT_ONCE);
  const settled = await Promise.allSettled(questions.map((question) => turn(() => ask(externalQuestion(question), signal))));
  const answers = settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  const failed = settled.find((one) => one.status === 'rejected');
  if (failed !== undefined && answers.every(({ allow }) => allow)) throw failed.reason;
  return answers;
}

function verdictOf(answers: readonly PointAnswer[]): Omit<ExternalAnswer, 'kind' | 'tookMs'> {
  const refusals = answers.filter(({ allow }) => !allow);
  const decisionIds = answers.flatMap(({ decisionId }) => decisionId ?? []);
  // Nothing asked is nothing permitted.
  if (refusals.length === 0 && answers.length > 0) return { verdict: 'permit', reason: null, fault: null, decisionIds };
  return { verdict: 'deny', reason: refusals.find(({ reason }) => reason !== null)?.reason ?? null, fault: null, decisionIds };
}

function faultOf(error: unknown): string {
  if (isBrokenCircuitError(error)) return 'it failed several times in a row, and is left alone for a moment';
  const { name, message } = error as Partial<Error>;
  // What was wrong in an answer is not repeated: its text could be anybody's.
  return typeof message !== 'string' || name === 'ZodError' || name === '$ZodError' || name === 'SyntaxError' ? 'its answer is no yes or no' : message.slice(0, 200);
}
