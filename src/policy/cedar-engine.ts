import cedar from '@cedar-policy/cedar-wasm/nodejs';
import type { CedarValueJson, StatefulAuthorizationCall } from '@cedar-policy/cedar-wasm/nodejs';
import { digestOf } from '../core/canonical-json.ts';
import { newDecisionId } from '../core/ids.ts';
import { toRfc3339 } from '../core/time.ts';
import { NAMESPACE, POLICY_ACTIONS, type CompiledPolicies } from './compile-policies.ts';
import type { Decision, PolicyEngine, PolicyQuestion } from './decision.ts';

type Answer =
  | { readonly kind: 'permit'; readonly policies: readonly string[] }
  | { readonly kind: 'deny'; readonly policies: readonly string[] }
  /** Policy could not be asked properly. Cedar skips a `forbid` that errs and may still say allow: we never believe it. */
  | { readonly kind: 'fault'; readonly reason: string };

/** Parsed sets live in the wasm under a name and can never be dropped: names are few and used again. */
const setName = (action: string): string => `mayfly:${action}`;
const SCHEMA_NAME = 'mayfly';

/**
 * Decides with Cedar, in this process. Permits only if Cedar says allow, names a policy for it, and reports no error at
 * all; everything else is a deny. Approval is found by asking twice: denied as is, permitted if a human had approved.
 * Only one engine is alive in a thread at a time: it owns the parsed sets.
 */
export function createCedarEngine(compiled: CompiledPolicies): PolicyEngine {
  must(cedar.preparseSchema(SCHEMA_NAME, compiled.schemaText));
  for (const action of POLICY_ACTIONS) {
    must(cedar.preparsePolicySet(setName(action), { staticPolicies: compiled.byAction.get(action) ?? {} }));
  }
  const known = (question: PolicyQuestion): boolean =>
    compiled.vocabulary.purposes.has(question.purpose) &&
    question.actions.every((word) => compiled.vocabulary.actions.has(word)) &&
    question.dataClasses.every((word) => compiled.vocabulary.dataClasses.has(word));

  return {
    version: compiled.version,
    vocabulary: compiled.vocabulary,
    decide(question) {
      if (!isUsable(question)) return unusable(compiled.version);
      const call = callFor(question);
      const decided = (result: Decision['result'], policies: readonly string[], fault: string | null = null): Decision => ({
        id: newDecisionId(),
        result,
        policies,
        policyVersion: compiled.version,
        inputDigest: digestOf([call.principal, call.action, call.resource, call.context, call.entities]),
        reasons: result === 'deny' ? policies.flatMap((id) => compiled.denyReasons.get(id) ?? []) : [],
        fault,
      });
      // Words outside the closed lists are in no policy. Cedar would call them a failure, which ours is not.
      if (!known(question)) return decided('deny', []);
      const answer = ask(call);
      if (answer.kind === 'fault') return decided('deny', [], answer.reason);
      if (answer.kind === 'permit') return decided('permit', answer.policies);
      if (question.approvals === 0) {
        const approved = ask(callFor({ ...question, approvals: 1 }));
        if (approved.kind === 'permit') return decided('approval_required', approved.policies);
      }
      return decided('deny', answer.policies);
    },
  };
}

/** Cedar knows whole numbers only, and JavaScript only some of Cedar's: anything else must not reach it rounded. */
const isUsable = (question: PolicyQuestion): boolean =>
  [question.ttlSeconds, question.approvals, question.delegationDepth, question.liveLeases, question.grantsLastHour, question.nowMs].every(Number.isSafeInteger);

const unusable = (policyVersion: string): Decision => ({
  id: newDecisionId(),
  result: 'deny',
  policies: [],
  policyVersion,
  inputDigest: digestOf('unusable'),
  reasons: [],
  fault: 'the question holds a number that is not whole',
});

function ask(call: StatefulAuthorizationCall): Answer {
  try {
    const answer = cedar.statefulIsAuthorized(call);
    if (answer.type !== 'success') return { kind: 'fault', reason: answer.errors.map(({ message }) => message).join('; ') };
    const { decision, diagnostics } = answer.response;
    if (diagnostics.errors.length > 0) return { kind: 'fault', reason: diagnostics.errors.map(({ policyId }) => `policy ${policyId} failed`).join('; ') };
    // Cedar names them in no order; the same question shall have the same answer.
    const policies = diagnostics.reason.toSorted();
    if (decision !== 'allow') return { kind: 'deny', policies };
    return policies.length > 0 ? { kind: 'permit', policies } : { kind: 'fault', reason: 'an allow without a reason' };
  } catch (error) {
    return { kind: 'fault', reason: error instanceof Error ? error.message : 'policy evaluation failed' };
  }
}

const entity = (type: string, id: string): { type: string; id: string } => ({ type: `${NAMESPACE}::${type}`, id });
const entityRef = (type: string, id: string): CedarValueJson => ({ __entity: entity(type, id) });
const pairs = (record: Readonly<Record<string, unknown>>): string[] => Object.entries(record).map(([name, value]) => `${name}=${String(value)}`);

/** Exactly what Cedar is given; the input digest is over this. */
function callFor(question: PolicyQuestion): StatefulAuthorizationCall {
  const principal = entity('Agent', question.principal.subject);
  const resource = entity('Credential', question.credential.name);
  const { provider, kind, revocability, owner } = question.credential;
  return {
    principal,
    action: entity('Action', question.action),
    resource,
    context: {
      purpose: entityRef('Purpose', question.purpose),
      operations: question.actions.map((word) => entityRef('Operation', word)),
      data_classes: question.dataClasses.map((word) => entityRef('DataClass', word)),
      evidence: question.evidence,
      approvals: question.approvals,
      ...(question.ticket === null ? {} : { ticket: question.ticket }),
      params: pairs(question.params),
      claims: pairs(question.context),
      ttl_seconds: question.ttlSeconds,
      delegation_depth: question.delegationDepth,
      delegation_chain: [...question.delegationChain],
      environment: question.environment,
      sender_bound: question.senderBound,
      live_leases: question.liveLeases,
      grants_last_hour: question.grantsLastHour,
      now: { __extn: { fn: 'datetime', arg: toRfc3339(question.nowMs) } },
    },
    entities: [
      { uid: principal, attrs: { issuer: question.principal.issuer, subject: question.principal.subject }, parents: [] },
      { uid: resource, attrs: { provider, kind, revocability, owner }, parents: [] },
    ],
    preparsedPolicySetId: setName(question.action),
    preparsedSchemaName: SCHEMA_NAME,
    validateRequest: true,
  };
}

function must(answer: { readonly type: string; readonly errors?: readonly { readonly message: string }[] }): void {
  if (answer.type !== 'success') throw new TypeError(`policies do not load: ${(answer.errors ?? []).map(({ message }) => message).join('; ')}`);
}
