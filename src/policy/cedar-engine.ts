import { digestOf } from '../core/canonical-json.ts';
import { newDecisionId } from '../core/ids.ts';
import { requestFor, type CedarRequest } from './cedar-request.ts';
import { CedarHost, withUnproven, type Cedar } from './cedar-wasm.ts';
import { POLICY_ACTIONS, type CompiledPolicies } from './compile-policies.ts';
import type { Decision, PolicyAction, PolicyEngine, PolicyQuestion } from './decision.ts';
import { evidenceWith } from '../task/approval.ts';
import { PolicyError } from './policy-error.ts';

type Answer =
  | { readonly kind: 'permit'; readonly policies: readonly string[] }
  | { readonly kind: 'deny'; readonly policies: readonly string[] }
  /** Policy could not be asked properly. Cedar skips a `forbid` that errs and may still say allow: we never believe it. */
  | { readonly kind: 'fault'; readonly fault: string };

type Slot = 'a' | 'b';

/** What an engine is for. Each use has a Cedar of its own, so that a shadow or a replay neither takes the names of the set in force nor breaks what asks it. */
export type EngineUse = 'live' | 'shadow' | 'replay' | 'draft';

interface Slots {
  readonly host: CedarHost;
  newest: Slot;
  readonly owners: Record<Slot, object | null>;
}

/**
 * Parsed sets live in the wasm, under names that can never be dropped. So two sets of names are used
 * in turn: a new engine fills the spare one, and the newest good engine goes on undisturbed if that fails. This is the
 * other half of that store, and as global as it.
 */
const newSlots = (): Slots => ({ host: new CedarHost(), newest: 'b', owners: { a: null, b: null } });
const slotsOf: Readonly<Record<EngineUse, Slots>> = { live: newSlots(), shadow: newSlots(), replay: newSlots(), draft: newSlots() };

/**
 * Decides with Cedar, in this process. Permits only if Cedar says allow, names a policy for it, and reports no error at
 * all; everything else is a deny. Approval is found by asking again: denied as is, permitted if one human had approved, or
 * two, up to `MOST_APPROVALS`.
 * The two newest engines of a thread and use can be asked; an older one denies with a fault. Throws `PolicyError` when the
 * set does not load; the engine in use is then untouched.
 */
export function createCedarEngine(compiled: CompiledPolicies, use: EngineUse = 'live'): PolicyEngine {
  const owner = {};
  const slots = slotsOf[use];
  const slot = spareOf(slots);
  let loadedIn = slots.host.run((cedar) => load(compiled, slot, cedar));
  slots.owners[slot] = owner;
  slots.newest = slot;
  return engineOf(compiled, (request, action) => {
    // Its names would lead to somebody else's policies.
    if (slots.owners[slot] !== owner) return { kind: 'fault', fault: 'these policies are no longer in force' };
    return answerOf(() =>
      slots.host.run((cedar) => {
        // The one that it was loaded in broke down meanwhile.
        if (loadedIn !== cedar) loadedIn = load(compiled, slot, cedar);
        return cedar.statefulIsAuthorized({ ...request, preparsedPolicySetId: setName(slot, action), preparsedSchemaName: slot, validateRequest: true });
      }),
    );
  });
}

/** The same for a set that is only tried out: it takes no slot, and parses its policies at every question. */
export function createDraftEngine(compiled: CompiledPolicies): PolicyEngine {
  return engineOf(compiled, (request, action) =>
    answerOf(() =>
      withUnproven('', (cedar) => cedar.isAuthorized({ ...request, policies: { staticPolicies: compiled.byAction.get(action) ?? {} }, schema: compiled.schemaText, validateRequest: true })),
    ),
  );
}

/** No policy asks more humans than this: a denial is asked once more for each, and a task that waits for more would wait in vain. */
export const MOST_APPROVALS = 5;

type AskCedar = (request: CedarRequest, action: PolicyAction) => Answer;

function engineOf(compiled: CompiledPolicies, ask: AskCedar): PolicyEngine {
  // Where no policy speaks of approvals, none can change the answer.
  const approvable = new Set([...compiled.byAction].filter(([, policies]) => Object.values(policies).some((text) => /approv/.test(text))).map(([action]) => action));

  /** What more humans would change: how many it takes, or the fault that stands in the way. */
  const withApprovals = (request: CedarRequest, { action, approvals, evidence }: PolicyQuestion): Partial<Considered> => {
    if (!approvable.has(action)) return {};
    for (let needed = approvals + 1; needed <= MOST_APPROVALS; needed += 1) {
      // Just what is asked when they have approved.
      const approved = ask({ ...request, context: { ...request.context, approvals: needed, evidence: evidenceWith(needed, evidence) } }, action);
      if (approved.kind === 'permit') return { result: 'approval_required', policies: approved.policies, approvalsNeeded: needed };
      if (approved.kind === 'fault') return { fault: approved.fault };
    }
    return {};
  };

  const consider = (question: PolicyQuestion): Considered => {
    let request: CedarRequest;
    let inputDigest = NO_INPUT;
    try {
      request = requestFor(withKnownPurposes(question, compiled));
      if (!isUnicode(request)) throw new RangeError('the question holds half of a surrogate pair, which is no character');
      inputDigest = digestOf(request);
    } catch (error) {
      return { ...DENIED, inputDigest, fault: messageOf(error) };
    }
    // Words outside the closed lists are in no policy. Cedar would call them a failure, which ours is not.
    if (!isKnown(question, compiled)) return { ...DENIED, inputDigest };
    const answer = ask(request, question.action);
    if (answer.kind === 'fault') return { ...DENIED, inputDigest, fault: answer.fault };
    if (answer.kind === 'permit') return { ...DENIED, result: 'permit', policies: answer.policies, inputDigest };
    return { ...DENIED, policies: answer.policies, inputDigest, ...withApprovals(request, question) };
  };

  return {
    version: compiled.version,
    vocabulary: compiled.vocabulary,
    decide(question) {
      const considered = consider(question);
      return {
        id: newDecisionId(),
        ...considered,
        policyVersion: compiled.version,
        // Only forbids have one, and no forbid is named on a permit.
        reasons: considered.policies.flatMap((id) => compiled.denyReasons.get(id) ?? []),
      };
    },
  };
}

type Considered = Pick<Decision, 'result' | 'policies' | 'approvalsNeeded' | 'inputDigest' | 'fault'>;
const DENIED = { result: 'deny', policies: [], approvalsNeeded: 0, fault: null } as const;

/** The input digest where nothing could be put to Cedar. */
const NO_INPUT = digestOf(null);

const setName = (slot: Slot, action: string): string => `${slot}:${action}`;

/** The slot to fill next; its owner, the engine before the newest, loses it at once. */
function spareOf(slots: Slots): Slot {
  const spare: Slot = slots.newest === 'a' ? 'b' : 'a';
  slots.owners[spare] = null;
  return spare;
}

/** Parses a set into a slot; answers where it is loaded now. */
function load(compiled: CompiledPolicies, slot: Slot, cedar: Cedar): Cedar {
  refuseFailure(cedar.preparseSchema(slot, compiled.schemaText), 'the schema');
  for (const action of POLICY_ACTIONS) {
    refuseFailure(cedar.preparsePolicySet(setName(slot, action), { staticPolicies: compiled.byAction.get(action) ?? {} }), `the policies for ${action}`);
  }
  return cedar;
}

function refuseFailure(answer: ReturnType<Cedar['preparseSchema']>, what: string): void {
  if (answer.type === 'failure') throw new PolicyError({ file: what }, `does not load: ${answer.errors[0]?.message ?? 'refused'}`);
}

/** A purpose of the register that this set does not know would be a failure to Cedar, and deny all that its agent asks. No declaration can name it anyway. */
const withKnownPurposes = (question: PolicyQuestion, { vocabulary }: CompiledPolicies): PolicyQuestion => ({
  ...question,
  agentFacts: { ...question.agentFacts, purposes: question.agentFacts.purposes.filter((purpose) => vocabulary.purposes.has(purpose)) },
});

const isKnown = (question: PolicyQuestion, { vocabulary }: CompiledPolicies): boolean =>
  vocabulary.purposes.has(question.purpose) &&
  question.actions.every((word) => vocabulary.actions.has(word)) &&
  question.dataClasses.every((word) => vocabulary.dataClasses.has(word));

function answerOf(call: () => ReturnType<Cedar['isAuthorized']>): Answer {
  try {
    const answer = call();
    if (answer.type !== 'success') return { kind: 'fault', fault: answer.errors.map(({ message }) => message).join('; ') };
    const { decision, diagnostics } = answer.response;
    if (diagnostics.errors.length > 0) return { kind: 'fault', fault: diagnostics.errors.map(({ policyId }) => `policy ${policyId} failed`).join('; ') };
    // Cedar names them in no order; the same question shall have the same answer.
    const policies = diagnostics.reason.toSorted();
    if (decision !== 'allow') return { kind: 'deny', policies };
    return policies.length > 0 ? { kind: 'permit', policies } : { kind: 'fault', fault: 'an allow without a reason' };
  } catch (error) {
    return { kind: 'fault', fault: messageOf(error) };
  }
}

/** What else Cedar would throw at, and each throw wears it out: some thousand of them, and it answers nobody any more. */
const isUnicode = (value: unknown): boolean =>
  typeof value === 'string' ? value.isWellFormed() : typeof value !== 'object' || value === null || Object.entries(value).every(([name, inner]) => name.isWellFormed() && isUnicode(inner));

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : 'policy evaluation failed');
