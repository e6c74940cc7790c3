import { toRfc3339 } from '../core/time.ts';
import type { PolicyQuestion } from './decision.ts';

/**
 * A question as another decision point is asked it: an AuthZEN 1.0 request, which OPA gets as its `input` too. All that Cedar
 * decides on is in it; what there is none of is left out.
 */
export const externalQuestion = (question: PolicyQuestion) => ({
  subject: {
    type: 'agent',
    id: question.principal.subject,
    properties: { issuer: question.principal.issuer, registered: question.agentFacts.registered, ...given('owner', question.agentFacts.owner) },
  },
  action: { name: question.action, properties: { actions: question.actions } },
  resource: { type: 'credential', id: question.credential.name, properties: question.params },
  context: {
    purpose: question.purpose,
    actions: question.actions,
    data_classes: question.dataClasses,
    context: question.context,
    ttl_seconds: question.ttlSeconds,
    evidence: question.evidence,
    ...given('vouched_by', question.vouchedBy),
    ...given('subject', question.subject),
    ...given('ticket', question.ticket),
    ...given('for_agent', question.forAgent),
    ...given('tool', question.tool),
    approvals: question.approvals,
    risk: question.risk,
    delegation_chain: question.delegationChain,
    touched: question.touched,
    sender_bound: question.senderBound,
    environment: question.environment,
    live_leases: question.liveLeases,
    grants_last_hour: question.grantsLastHour,
    purpose_grants_last_hour: question.purposeGrantsLastHour,
    denials_in_a_row: question.denialsInARow,
    at: toRfc3339(question.nowMs),
    credential: { provider: question.credential.provider, kind: question.credential.kind, revocability: question.credential.revocability, owner: question.credential.owner },
  },
});
export type ExternalQuestion = ReturnType<typeof externalQuestion>;

const given = (key: string, value: string | null | undefined): Record<string, string> => (value === null || value === undefined || value === '' ? {} : { [key]: value });
