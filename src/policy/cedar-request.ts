import type { CedarValueJson, Context, EntityJson, TypeAndId } from '@cedar-policy/cedar-wasm/nodejs';
import { toRfc3339 } from '../core/time.ts';
import type { PolicyQuestion } from './decision.ts';

/** The Cedar namespace of every type and action Mayfly uses. */
export const NAMESPACE = 'Mayfly';

/** Exactly what Cedar is asked; the input digest of a decision is over this. */
export interface CedarRequest {
  readonly principal: TypeAndId;
  readonly action: TypeAndId;
  readonly resource: TypeAndId;
  readonly context: Context;
  readonly entities: EntityJson[];
}

/** Puts a question into Cedar's words. Throws `RangeError` for a number that is not whole, or an instant that is none. */
export function requestFor(question: PolicyQuestion): CedarRequest {
  const principal = entity('Agent', question.principal.subject);
  const resource = entity('Credential', question.credential.name);
  const { provider, kind, revocability, owner } = question.credential;
  return {
    principal,
    action: entity('Action', question.action),
    resource,
    context: {
      purpose: reference('Purpose', question.purpose),
      operations: question.actions.map((word) => reference('Operation', word)),
      data_classes: question.dataClasses.map((word) => reference('DataClass', word)),
      evidence: question.evidence,
      ...(question.vouchedBy === null ? {} : { vouched_by: question.vouchedBy }),
      ...(question.subject === null ? {} : { subject: question.subject }),
      approvals: whole(question.approvals),
      risk: whole(question.risk),
      ...(question.ticket === null ? {} : { ticket: question.ticket }),
      ...(question.forAgent === undefined ? {} : { for_agent: question.forAgent }),
      params: pairs(question.params),
      claims: pairs(question.context),
      ttl_seconds: whole(question.ttlSeconds),
      delegation_depth: whole(question.delegationDepth),
      delegation_chain: [...question.delegationChain],
      ...(question.tool === null ? {} : { tool: question.tool }),
      touched: question.touched.map((word) => reference('DataClass', word)),
      environment: question.environment,
      sender_bound: question.senderBound,
      live_leases: whole(question.liveLeases),
      grants_last_hour: whole(question.grantsLastHour),
      purpose_grants_last_hour: whole(question.purposeGrantsLastHour),
      denials_in_a_row: whole(question.denialsInARow),
      now: { __extn: { fn: 'datetime', arg: toRfc3339(question.nowMs) } },
    },
    entities: [
      { uid: principal, attrs: agentAttributes(question), parents: [] },
      { uid: resource, attrs: { provider, kind, revocability, owner }, parents: [] },
    ],
  };
}

function agentAttributes({ principal, agentFacts }: PolicyQuestion): Record<string, CedarValueJson> {
  const { registered, owner, purposes, environments, reviewOverdue } = agentFacts;
  return {
    issuer: principal.issuer,
    subject: principal.subject,
    registered,
    owner,
    purposes: purposes.map((word) => reference('Purpose', word)),
    environments: [...environments],
    review_overdue: reviewOverdue,
  };
}

/** Cedar knows whole numbers only, and JavaScript only some of Cedar's: anything else must not reach it rounded. */
function whole(value: number): number {
  if (!Number.isSafeInteger(value)) throw new RangeError(`the question holds a number that is not whole: ${String(value)}`);
  return value;
}

const entity = (type: string, id: string): TypeAndId => ({ type: `${NAMESPACE}::${type}`, id });
const reference = (type: string, id: string): CedarValueJson => ({ __entity: entity(type, id) });
/**
 * Names hold no `=` (the declaration and the configuration see to it), so the first one ends the name. Sorted: JSON keeps no order
 * of members, and the same question from a record must have the same digest.
 */
const pairs = (record: Readonly<Record<string, unknown>>): string[] => Object.entries(record).map(([name, value]) => `${name}=${String(value)}`).sort();
