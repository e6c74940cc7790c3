import { readFileSync } from 'node:fs';
import { z } from 'zod';
import type { ExternalPolicyConfig } from '../config/config-schema.ts';
import { Secret } from '../core/secret.ts';
import type { FetchedText, FetchOptions, OutboundFetch } from '../identity/outbound-fetch.ts';
import { tracingHeaders } from '../telemetry/in-span.ts';
import { freeText } from '../task/declaration.ts';
import type { ExternalQuestion } from './external-question.ts';

export interface PointAnswer {
  readonly allow: boolean;
  /** What its author published for the caller, where that is a line of text. */
  readonly reason: string | null;
  /** What the answer is called in its own decision log, where it has one. */
  readonly decisionId: string | null;
}

/** Asks a decision point one question, once. Throws for everything that is not a plain yes or no. */
export type AskPoint = (question: ExternalQuestion, signal: AbortSignal) => Promise<PointAnswer>;

/** A decision point in the protocol that configuration names. */
export function askDecisionPoint(config: ExternalPolicyConfig, outboundFetch: OutboundFetch): AskPoint {
  const options = (signal: AbortSignal): FetchOptions => ({
    signal,
    headers: tracingHeaders(),
    // Read for each question: tokens in files are replaced while we run.
    ...(config.token_file === undefined ? {} : { bearer: new Secret(readFileSync(config.token_file, 'utf8').trim()) }),
  });
  return config.kind === 'opa' ? opa(config.url, outboundFetch, options) : authzen(config.url, outboundFetch, options);
}

type OptionsFor = (signal: AbortSignal) => FetchOptions;

const opaAnswer = z.object({
  result: z.union([z.boolean(), z.object({ allow: z.boolean(), reason: z.unknown().optional() })]).optional(),
  // Only an OPA that keeps a decision log names its answers.
  decision_id: z.unknown().optional(),
});

/** OPA's data API: `{"input": ...}` in, `{"result": ...}` out. An undefined decision has no result, and is none. */
const opa =
  (url: string, outboundFetch: OutboundFetch, options: OptionsFor): AskPoint =>
  async (input, signal) => {
    const { result, decision_id: id } = opaAnswer.parse(json(await outboundFetch(url, { ...options(signal), json: { input } })));
    if (result === undefined) throw new Error('the decision is undefined there: no such rule, or its policies are not loaded');
    const answer = typeof result === 'boolean' ? { allow: result } : result;
    return { allow: answer.allow, reason: line(answer.reason), decisionId: line(id) };
  };

const authzenAnswer = z.object({ decision: z.boolean(), context: z.object({ reasons: z.unknown().optional(), reason_user: z.unknown().optional() }).nullish() });
const metadata = z.object({ policy_decision_point: z.string(), access_evaluation_endpoint: z.url() });

/** AuthZEN 1.0: at the URL itself where it has a path, else where its metadata says, which is asked once as long as all is well. */
function authzen(url: string, outboundFetch: OutboundFetch, options: OptionsFor): AskPoint {
  const base = url.replace(/\/$/, '');
  const direct = base !== new URL(url).origin;
  let endpoint = direct ? url : undefined;
  return async (question, signal) => {
    try {
      endpoint ??= await discover(base, outboundFetch, signal);
      const { decision, context } = authzenAnswer.parse(json(await outboundFetch(endpoint, { ...options(signal), json: question })));
      return { allow: decision, reason: line(Array.isArray(context?.reasons) ? context.reasons[0] : context?.reason_user), decisionId: null };
    } catch (error) {
      if (!direct) endpoint = undefined;
      throw error;
    }
  };
}

/** Section 9.2.3: what the metadata calls itself must be what was asked, or somebody answers for somebody else. */
async function discover(base: string, outboundFetch: OutboundFetch, signal: AbortSignal): Promise<string> {
  const found = metadata.parse(json(await outboundFetch(`${base}/.well-known/authzen-configuration`, { signal })));
  if (found.policy_decision_point.replace(/\/$/, '') !== base) throw new Error(`its metadata names ${found.policy_decision_point}`);
  return found.access_evaluation_endpoint;
}

/** Above this an answer is no answer: a yes or no with a reason has no use for more. */
const MAX_CHARACTERS = 16_384;

function json({ status, body, headers }: FetchedText): unknown {
  if (status !== 200) throw new Error(`it answered ${status}`);
  if (!/^application\/json\s*(;|$)/i.test(String(headers['content-type']))) throw new Error(`it answered ${String(headers['content-type'])}, not JSON`);
  if (body.length > MAX_CHARACTERS) throw new Error('its answer is too large');
  return JSON.parse(body);
}

/** What goes to the caller or on the record: one line of bounded text, or none. */
const line = (text: unknown): string | null => freeText.min(1).safeParse(text).data ?? null;
