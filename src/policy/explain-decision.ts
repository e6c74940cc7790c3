import cedar from '@cedar-policy/cedar-wasm/nodejs';
import type { Clause, Expr, PolicyJson } from '@cedar-policy/cedar-wasm/nodejs';
import { requestFor, type CedarRequest } from './cedar-request.ts';
import { createDraftEngine } from './cedar-engine.ts';
import type { CompiledPolicies } from './compile-policies.ts';
import type { Decision, PolicyQuestion } from './decision.ts';

/** One part of a policy's condition, and whether it holds here. */
export interface ExplainedCondition {
  readonly text: string;
  readonly holds: boolean;
}

/** How a policy stands to a question. */
export interface ExplainedPolicy {
  readonly id: string;
  readonly effect: 'permit' | 'forbid';
  /** `applies`: it takes part in the answer. `head`: it is for another agent or credential. `condition`: some of it does not hold. */
  readonly stands: 'applies' | 'head' | 'condition';
  readonly conditions: readonly ExplainedCondition[];
}

export interface ExplainedDecision {
  readonly decision: Decision;
  /** Every policy of the action: those that apply first, then those that came nearest. */
  readonly policies: readonly ExplainedPolicy[];
}

/** Why a question is answered as it is: each policy of its action is asked by itself, and each part of its condition. */
export function explainDecision(compiled: CompiledPolicies, question: PolicyQuestion): ExplainedDecision {
  const decision = createDraftEngine(compiled).decide(question);
  const request = requestFor(question);
  const explained = Object.entries(compiled.byAction.get(question.action) ?? {}).map(([id, text]) => explainPolicy(id, text, request, compiled.schemaText));
  return { decision, policies: explained.sort((a, b) => missing(a) - missing(b) || a.id.localeCompare(b.id)) };
}

const missing = ({ stands, conditions }: ExplainedPolicy): number =>
  stands === 'applies' ? -1 : stands === 'head' ? Number.MAX_SAFE_INTEGER : conditions.filter(({ holds }) => !holds).length;

function explainPolicy(id: string, text: string, request: CedarRequest, schema: string): ExplainedPolicy {
  const parsed = cedar.policyToJson(text);
  if (parsed.type === 'failure') throw new TypeError(`policy ${id} cannot be read back`);
  const { json } = parsed;
  const effect = json.effect;
  if (!fits({ ...json, conditions: [] }, request, schema)) return { id, effect, stands: 'head', conditions: [] };
  const conditions = json.conditions.flatMap(partsOf).map((clause) => ({ text: textOf(clause, json), holds: fits({ ...json, conditions: [clause] }, request, schema) }));
  return { id, effect, stands: fits(json, request, schema) ? 'applies' : 'condition', conditions };
}

/** The parts of a condition that all must hold: `when { a && b }` is two. An `unless` is taken whole. */
function partsOf(clause: Clause): Clause[] {
  if (clause.kind !== 'when') return [clause];
  const split = (body: Expr): Expr[] => {
    const both = '&&' in body ? body['&&'] : undefined;
    return both === undefined || Array.isArray(both) ? [body] : [...split(both.left), ...split(both.right)];
  };
  return split(clause.body).map((body) => ({ kind: 'when', body }));
}

/** Whether a policy, as a permit alone in the world, answers this request. */
function fits(policy: PolicyJson, request: CedarRequest, schema: string): boolean {
  const answer = cedar.isAuthorized({ ...request, policies: { staticPolicies: { alone: { ...policy, effect: 'permit' } } }, schema, validateRequest: true });
  return answer.type === 'success' && answer.response.decision === 'allow';
}

function textOf(clause: Clause, policy: PolicyJson): string {
  const answer = cedar.policyToText({ ...policy, annotations: {}, conditions: [clause] });
  if (answer.type === 'failure') return clause.kind;
  return answer.text.slice(answer.text.search(/\bwhen\b|\bunless\b/)).replaceAll(/\s+/g, ' ').replace(/;$/, '');
}
