import { z } from 'zod';
import { epochMsFrom } from '../core/time.ts';
import { instant } from '../task/declaration.ts';
import { POLICY_ACTIONS } from './compile-policies.ts';
import { UNREGISTERED, type PolicyQuestion } from './decision.ts';

const text = z.string().min(1);
const words = z.array(text).default([]);

/** What a credential is to policy. */
export const credentialFacts = z.strictObject({
  provider: text.default('any'),
  kind: text.default('vault.dynamic'),
  revocability: z.enum(['exact', 'eventual', 'none']).default('exact'),
  owner: text.default('any'),
});
export type CredentialFacts = z.infer<typeof credentialFacts>;

/** A registered agent, as far as policy looks at it. */
const agentFacts = z.strictObject({
  owner: text.default('any'),
  purposes: words,
  environments: words,
  review_overdue: z.boolean().default(false),
});

/** A question in an author's words; all but who, why, what and which has a plain default. */
export const policyAsk = z.strictObject({
  action: z.enum(POLICY_ACTIONS as [PolicyQuestion['action'], ...PolicyQuestion['action'][]]).default('mint'),
  agent: text,
  issuer: text.default('https://issuer.example'),
  for_agent: text.optional(),
  credential: text,
  purpose: text,
  actions: z.array(text).min(1),
  data_classes: words,
  evidence: z.enum(['self_declared', 'orchestrator_signed', 'user_consented', 'approved']).default('self_declared'),
  vouched_by: text.optional(),
  subject: text.optional(),
  approvals: z.int().min(0).default(0),
  risk: z.int().min(0).max(3).default(0),
  ticket: text.optional(),
  params: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).default({}),
  context: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).default({}),
  ttl_seconds: z.int().min(1).default(300),
  delegation_depth: z.int().min(0).default(0),
  delegation_chain: words,
  tool: text.optional(),
  touched: words,
  environment: z.enum(['production', 'development']).default('production'),
  sender_bound: z.boolean().default(false),
  live_leases: z.int().min(0).default(0),
  grants_last_hour: z.int().min(0).default(0),
  purpose_grants_last_hour: z.int().min(0).default(0),
  denials_in_a_row: z.int().min(0).default(0),
  /** What the register of agents says; an agent that nobody registered where not given. */
  registered: agentFacts.optional(),
  at: instant.default('2026-01-05T12:00:00Z'),
});
export type PolicyAsk = z.infer<typeof policyAsk>;

/** The question as the engine takes it. */
export const questionOf = (ask: PolicyAsk, credential: CredentialFacts): PolicyQuestion => ({
  action: ask.action,
  principal: { issuer: ask.issuer, subject: ask.agent },
  agentFacts: ask.registered === undefined ? UNREGISTERED : { registered: true, owner: ask.registered.owner, purposes: ask.registered.purposes, environments: ask.registered.environments, reviewOverdue: ask.registered.review_overdue },
  ...(ask.for_agent === undefined ? {} : { forAgent: ask.for_agent }),
  credential: { name: ask.credential, ...credential },
  purpose: ask.purpose,
  actions: ask.actions,
  dataClasses: ask.data_classes,
  evidence: ask.evidence,
  vouchedBy: ask.vouched_by ?? null,
  subject: ask.subject ?? null,
  approvals: ask.approvals,
  risk: ask.risk,
  ticket: ask.ticket ?? null,
  params: ask.params,
  context: ask.context,
  ttlSeconds: ask.ttl_seconds,
  delegationDepth: ask.delegation_depth,
  delegationChain: ask.delegation_chain,
  tool: ask.tool ?? null,
  touched: ask.touched,
  environment: ask.environment,
  senderBound: ask.sender_bound,
  liveLeases: ask.live_leases,
  grantsLastHour: ask.grants_last_hour,
  purposeGrantsLastHour: ask.purpose_grants_last_hour,
  denialsInARow: ask.denials_in_a_row,
  nowMs: epochMsFrom(Date.parse(ask.at)),
});
