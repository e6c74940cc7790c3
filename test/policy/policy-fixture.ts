import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { epochMsFrom } from '../../src/core/time.ts';
import { createCedarEngine } from '../../src/policy/cedar-engine.ts';
import { compilePolicies, type CompiledPolicies } from '../../src/policy/compile-policies.ts';
import { UNREGISTERED, type PolicyEngine, type PolicyQuestion } from '../../src/policy/decision.ts';

/** The example's own policies. */
export const DIRECTORY = join(import.meta.dirname, '../../config/policies');
export const SCHEMA = readFileSync(join(DIRECTORY, 'schema.cedarschema'), 'utf8');

export const compile = (text: string, schema = SCHEMA): CompiledPolicies =>
  compilePolicies({ schema: { file: 'schema.cedarschema', text: schema }, policies: [{ file: 'test.cedar', text }] });

export const engineFor = (text: string, schema = SCHEMA): PolicyEngine => createCedarEngine(compile(text, schema));

export const PERMIT_ALL = '@id("all") permit (principal, action, resource);';

/** A plain question that the example's policies permit. */
export const QUESTION: PolicyQuestion = {
  action: 'mint',
  principal: { issuer: 'https://issuer.test', subject: 'agent:refunds' },
  agentFacts: UNREGISTERED,
  credential: { name: 'orders-db', provider: 'vault-main', kind: 'vault.dynamic', revocability: 'exact', owner: 'team-orders' },
  purpose: 'refund-investigation',
  actions: ['read'],
  dataClasses: [],
  evidence: 'self_declared',
  vouchedBy: null,
  subject: null,
  approvals: 0,
  risk: 0,
  ticket: null,
  params: {},
  context: {},
  ttlSeconds: 60,
  delegationDepth: 0,
  delegationChain: [],
  tool: null,
  touched: [],
  environment: 'test',
  senderBound: false,
  liveLeases: 0,
  grantsLastHour: 0,
  purposeGrantsLastHour: 0,
  denialsInARow: 0,
  nowMs: epochMsFrom(1_800_000_000_000),
};
