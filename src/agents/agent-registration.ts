import { z } from 'zod';
import { agentFields, agentIdentity } from '../config/agent-schemas.ts';
import type { ConfiguredAgent } from '../config/config-schema.ts';
import type { FieldFault } from '../core/problem.ts';
import { issuerOfSpiffeId } from '../identity/spiffe-id.ts';
import type { WorkloadId } from '../identity/caller.ts';
import type { AgentRegistration } from '../ledger/agent-record.ts';
import { freeText, invalidRequest, parse } from '../task/declaration.ts';

/** What `POST /v1/agents` takes. */
export const agentRegistration = z.strictObject({ ...agentIdentity, ...agentFields });

/** What `PATCH /v1/agents/{id}` takes: what is not named stays. Who an agent is never changes. */
export const agentPatch = z
  .strictObject({
    owner: agentFields.owner.optional(),
    purposes: agentFields.purposes.optional(),
    environments: agentFields.environments.unwrap().optional(),
    review_by: agentFields.review_by.optional(),
    description: agentFields.description.unwrap().nullable().optional(),
  })
  .refine((value) => Object.keys(value).length > 0, 'at least one field to change')
  .meta({ minProperties: 1 });

/** What `POST /v1/agents/{id}/disable` takes. */
export const agentDisabling = z.strictObject({ reason: freeText.min(1).describe('for operators; the agent never sees it') });

export type AgentPatch = z.infer<typeof agentPatch>;
export const parseAgentPatch = (body: unknown): AgentPatch => parse(agentPatch, body);
export const parseAgentDisabling = (body: unknown): { reason: string } => parse(agentDisabling, body);

/** What a registration is checked against. */
export interface RegistrationBounds {
  /** Every configured issuer and trust domain of workloads. */
  readonly issuers: ReadonlySet<string>;
  readonly policy: { readonly vocabulary: { readonly purposes: ReadonlySet<string> } };
}

/** A registration by the API. Throws `invalid_request` with every fault. */
export function parseAgentRegistration(body: unknown, bounds: RegistrationBounds): { readonly agent: WorkloadId; readonly registration: AgentRegistration } {
  const wanted = parse(agentRegistration, body);
  const issuer = wanted.issuer ?? issuerOfSpiffeId(wanted.subject);
  const faults = unknownPurposes(wanted.purposes, bounds);
  if (issuer === undefined) faults.push({ pointer: '/issuer', detail: 'is needed: the subject is no SPIFFE ID, which would name its trust domain' });
  else if (!bounds.issuers.has(issuer)) {
    faults.push(wanted.issuer === undefined ? { pointer: '/subject', detail: 'belongs to a trust domain that is not configured here' } : { pointer: '/issuer', detail: 'is not a configured issuer or trust domain' });
  }
  if (issuer === undefined || faults.length > 0) throw invalidRequest(faults);
  return { agent: { issuer, subject: wanted.subject }, registration: registrationOf(wanted) };
}

/** Purposes that policy does not know: no declaration could name them, and Cedar refuses a question that does. */
export const unknownPurposes = (purposes: readonly string[], { policy }: Pick<RegistrationBounds, 'policy'>): FieldFault[] =>
  purposes.flatMap((purpose, index) => (policy.vocabulary.purposes.has(purpose) ? [] : [{ pointer: `/purposes/${index}`, detail: 'is not a purpose the operator has defined' }]));

/** An agent of the configuration, whose issuer the rules of the configuration made certain. */
export const configuredAgent = (agent: ConfiguredAgent): { readonly agent: WorkloadId; readonly registration: AgentRegistration } => ({
  agent: { issuer: agent.issuer ?? issuerOfSpiffeId(agent.subject) ?? '', subject: agent.subject },
  registration: registrationOf(agent),
});

const registrationOf = (given: Omit<ConfiguredAgent, 'issuer' | 'subject'>): AgentRegistration => ({
  owner: given.owner,
  purposes: given.purposes,
  environments: given.environments,
  reviewBy: given.review_by,
  description: given.description ?? null,
});
