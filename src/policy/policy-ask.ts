import { z } from 'zod';
import { epochMsFrom } from '../core/time.ts';
import { instant } from '../task/declaration.ts';
import { POLICY_ACTIONS } from './compile-policies.ts';
import type { PolicyQuestion } from './decision.ts';

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
  approvals: z.int().min(0).default(0),
  ticket: text.optional(),
  params: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).default({}),
  context: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).default({}),
  ttl_seconds: z.int().min(1).default(300),
  delegation_depth: z.int().min(0).default(0),
  delegation_chain: words,
  environment: z.enum(['production', 'development']).default('production'),
  sender_bound: z.boolean().default(false),
  live_leases: z.int().min(0).default(0),
  grants_last_hour: z.int().min(0).default(0),
  at: instant.default('2026-01-05T12:00:00Z'),
});
export type PolicyAsk = z.infer<typeof policyAsk>;

/** The question as the engine takes it. */
export const questionOf = (ask: PolicyAsk, credential: CredentialFacts): PolicyQuestion => ({
  action: ask.action,
  principal: { issuer: ask.issuer, subject: ask.agent },
  ...(ask.for_agent === undefined ? {} : { forAgent: ask.for_agent }),
  credential: { name: ask.credential, ...credential },
  purpose: ask.purpose,
  actions: ask.actions,
  dataClasses: ask.data_classes,
  evidence: ask.evidence,
  approvals: ask.approvals,
  ticket: ask.ticket ?? null,
  params: ask.params,
  context: ask.context,
  ttlSeconds: ask.ttl_seconds,
  delegationDepth: ask.delegation_depth,
  delegationChain: ask.delegation_chain,
  environment: ask.environment,
  senderBound: ask.sender_bound,
  liveLeases: ask.live_leases,
  grantsLastHour: ask.grants_last_hour,
  nowMs: epochMsFrom(Date.parse(ask.at)),
});
