import { z } from 'zod';
import type { Config } from '../config/config-schema.ts';
import { newDecisionId } from '../core/ids.ts';
import { epochMsFrom, type EpochMs } from '../core/time.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { createCedarEngine } from '../policy/cedar-engine.ts';
import { POLICY_ACTIONS } from '../policy/compile-policies.ts';
import type { PolicyEngine } from '../policy/decision.ts';
import { declaration, instant, parse } from '../task/declaration.ts';
import { checkDeclaration, declaredAgent } from './check-request.ts';
import type { CredentialCatalog } from './credential-catalog.ts';
import { factsOfAll, type AgentsPort } from './known-principals.ts';
import { decideCredentials, type JointDecision } from './decide-credentials.ts';
import { draftEngine, draftShape, hasDraft } from './draft-policies.ts';
import { riskLevel } from './risk-of.ts';

const evidence = z.enum(['self_declared', 'orchestrator_signed', 'user_consented', 'approved']);

/** A declaration as somebody else would make it, and what policy could know besides. */
export const evaluation = declaration.extend({
  agent: z.string().min(1).max(2_048),
  /** Who declares, where that is not the agent: then `declare_for` is asked too. */
  declarer: z.strictObject({ issuer: z.string().min(1).max(2_048), subject: z.string().min(1).max(2_048) }).optional(),
  action: z.enum(POLICY_ACTIONS as [string, ...string[]]).default('mint'),
  evidence: evidence.default('self_declared'),
  vouched_by: z.string().min(1).max(2_048).optional(),
  subject: z.string().min(1).max(2_048).optional(),
  sender_bound: z.boolean().default(false),
  /** For `declare_for` and `delegate`, where no `declarer` is named: the subject of the agent that is to act. */
  for_agent: z.string().min(1).max(2_048).optional(),
  /** The agents that the authority came through, by subject, from the root of the tree to the parent. */
  delegation_chain: z.array(z.string().min(1).max(2_048)).max(16).default([]),
  /** The tool that the credential is for. */
  tool: z.string().min(1).max(128).optional(),
  touched: declaration.shape.data_classes,
  approvals: z.int().min(0).max(16).default(0),
  at: instant.optional(),
  ...draftShape,
});

export type Evaluation = z.infer<typeof evaluation>;
export const parseEvaluation = (body: unknown): Evaluation => parse(evaluation, body);

export interface EvaluatePolicyDeps {
  readonly ledger: Pick<Ledger, 'reserve'>;
  readonly policy: PolicyEngine & { readonly compiled: { readonly schemaText: string } };
  readonly catalog: CredentialCatalog;
  readonly limits: Config['limits'];
  readonly environment: string;
  readonly risk: Config['policy']['risk'];
  readonly issuers: ReadonlySet<string>;
  readonly clock: { now(): EpochMs };
  readonly agents: Pick<AgentsPort, 'standingOf'>;
}

/**
 * What policy would answer to a declaration, by the very code that decides real ones. Nothing is minted, reserved or
 * put on the record. Throws `invalid_request`, also for a draft that does not compile.
 */
export async function evaluatePolicy(asked: Evaluation, deps: EvaluatePolicyDeps): Promise<JointDecision> {
  const { declarer } = asked;
  const [anyIssuer = ''] = deps.issuers;
  const agent = declaredAgent(asked, { issuer: asked.agent_issuer ?? declarer?.issuer ?? anyIssuer, subject: asked.agent }, deps.issuers);
  const ttlSeconds = asked.ttl_seconds ?? deps.limits.default_ttl_seconds;
  const wanted = checkDeclaration(asked, ttlSeconds, deps.limits, deps.catalog);
  // The agent's real counters, as they stand.
  const counters = await deps.ledger.reserve(agent, asked.purpose, [], Number.MAX_SAFE_INTEGER);
  const basis = {
    agent,
    purpose: asked.purpose,
    actions: asked.actions,
    dataClasses: asked.data_classes,
    context: asked.context,
    evidence: asked.evidence,
    vouchedBy: asked.vouched_by ?? null,
    subject: asked.subject ?? null,
    chain: asked.delegation_chain.map((subject) => ({ issuer: agent.issuer, subject })),
    tool: asked.tool ?? null,
    touched: asked.touched,
    risk: riskLevel(asked.actions, deps.risk),
    senderBound: asked.sender_bound,
    approvals: asked.approvals,
    ticket: asked.ticket ?? null,
    ...counters,
    environment: deps.environment,
    factsOf: await factsOfAll(declarer === undefined ? [agent] : [agent, declarer], deps.agents),
    nowMs: asked.at === undefined ? deps.clock.now() : epochMsFrom(Date.parse(asked.at)),
  };
  const action = POLICY_ACTIONS.find((one) => one === asked.action) ?? 'mint';
  const forAgent = asked.for_agent === undefined ? {} : { forAgent: asked.for_agent };
  const asks = declarer === undefined ? [{ action, ...forAgent }] : [{ action: 'declare_for', principal: declarer, forAgent: agent.subject } as const, { action }];
  // Last, and nothing is waited for from here on: the next draft but one takes its place. Parsed once, however many questions there are.
  const engine = hasDraft(asked) ? draftEngine(asked, deps.policy.compiled.schemaText, (draft) => createCedarEngine(draft, 'draft')) : deps.policy;
  return decideCredentials(engine, newDecisionId(), basis, wanted, asks);
}
