import type { PolicyQuestion } from '../../src/policy/decision.ts';
import { QUESTION } from './policy-fixture.ts';

/** The example's credentials, as its configuration has them. */
export const KINDS: Readonly<Record<string, readonly [kind: string, revocability: PolicyQuestion['credential']['revocability']]>> = {
  'orders-db': ['vault.dynamic', 'exact'],
  'vault-token': ['vault.token', 'exact'],
  'reports-bucket': ['aws.sts', 'eventual'],
  'payments-api-key': ['vault.kv', 'none'],
  'task-token': ['jwt', 'none'],
  'task-reference': ['jwt', 'exact'],
};

/** What a question says that differs from the plainest one. */
export interface Ask {
  readonly who?: string;
  readonly action?: PolicyQuestion['action'];
  readonly forAgent?: string;
  readonly credential?: string;
  readonly purpose?: string;
  readonly does?: readonly string[];
  readonly data?: readonly string[];
  readonly ttl?: number;
  readonly approvals?: number;
  readonly registered?: Partial<PolicyQuestion['agentFacts']>;
}

export function question({ who, action, forAgent, credential = 'orders-db', purpose, does, data, ttl = 300, approvals, registered }: Ask): PolicyQuestion {
  const [kind, revocability] = (Object.hasOwn(KINDS, credential) ? KINDS[credential] : undefined) ?? ['jwt', 'exact'];
  return {
    ...QUESTION,
    action: action ?? QUESTION.action,
    principal: { issuer: QUESTION.principal.issuer, subject: who ?? QUESTION.principal.subject },
    ...(forAgent === undefined ? {} : { forAgent }),
    agentFacts: registered === undefined ? QUESTION.agentFacts : { registered: true, owner: 'team-refunds', purposes: ['refund-investigation'], environments: [], reviewOverdue: false, ...registered },
    credential: { name: credential, provider: 'p', kind, revocability, owner: 'o' },
    purpose: purpose ?? QUESTION.purpose,
    actions: does ?? QUESTION.actions,
    dataClasses: data ?? QUESTION.dataClasses,
    approvals: approvals ?? QUESTION.approvals,
    ttlSeconds: ttl,
  };
}

const EXPORT = { purpose: 'data-export', does: ['export'] } as const;
const DECLARE = { who: 'orchestrator:support-desk', action: 'declare_for', forAgent: 'agent:refunds' } as const;
const DELEGATE = { action: 'delegate', forAgent: 'agent:payouts' } as const;

type Row = readonly [string, Ask, 'permit' | 'deny' | 'approval_required', readonly string[]];

const PLAIN: readonly Row[] = [
  ...Object.keys(KINDS).flatMap((credential): [string, Ask, 'permit', string[]][] => {
    const rule = credential === 'payments-api-key' ? 'refund-investigation-static-key' : 'refund-investigation-mint';
    return [
      [`the refunds agent reads with ${credential}`, { credential }, 'permit', [rule]],
      [`the refunds agent reads personal data with ${credential}`, { credential, data: ['pii'] }, 'permit', [rule]],
    ];
  }),
  ['an agent registered for it', { registered: {} }, 'permit', ['refund-investigation-mint']],
  ['an agent registered for something else', { registered: { purposes: ['data-export'] } }, 'deny', ['agent-purpose-not-registered']],
  ['an agent registered for nothing that is known', { registered: { purposes: [] } }, 'deny', ['agent-purpose-not-registered']],
  ['an agent whose review is overdue', { registered: { reviewOverdue: true } }, 'deny', ['agent-review-overdue']],
  ['an agent registered for another environment', { registered: { environments: ['elsewhere'] } }, 'deny', ['agent-environment-not-registered']],
  ['a registered agent that nothing permits', { who: 'agent:unknown', registered: {} }, 'deny', []],
  ['a second agent reads orders', { who: 'agent:payouts' }, 'permit', ['refund-payout-mint']],
  ['a second agent takes a token', { who: 'agent:payouts', credential: 'task-token' }, 'permit', ['refund-payout-mint']],
  ['a second agent takes the static key', { who: 'agent:payouts', credential: 'payments-api-key' }, 'deny', []],
  ['a second agent takes the bucket', { who: 'agent:payouts', credential: 'reports-bucket' }, 'deny', []],
  ['an unknown agent', { who: 'agent:unknown' }, 'deny', []],
  ['an agent whose name begins alike', { who: 'agent:refunds-evil' }, 'deny', []],
  ['an agent with no name', { who: '' }, 'deny', []],
  ['the orchestrator mints for itself', { who: 'orchestrator:support-desk' }, 'deny', []],
  ['the orchestrator declares for the refunds agent', DECLARE, 'permit', ['refund-investigation-declare-for']],
  ['the orchestrator declares the static key for the refunds agent', { ...DECLARE, credential: 'payments-api-key' }, 'permit', ['refund-investigation-declare-for']],
  ['the orchestrator declares for another agent', { ...DECLARE, forAgent: 'agent:payouts' }, 'deny', []],
  ['the orchestrator declares for nobody', { who: DECLARE.who, action: 'declare_for' }, 'deny', []],
  ['the orchestrator declares an export', { ...DECLARE, ...EXPORT }, 'deny', []],
  ['the orchestrator declares financial data', { ...DECLARE, data: ['financial'] }, 'deny', []],
  ['an agent declares for another', { ...DECLARE, who: 'agent:payouts' }, 'deny', []],
  ['an agent declares for itself as if for another', { ...DECLARE, who: 'agent:refunds' }, 'deny', []],
  ['the refunds agent delegates orders to the second agent', DELEGATE, 'permit', ['refund-investigation-delegate']],
  ['the refunds agent delegates orders to a stranger', { ...DELEGATE, forAgent: 'agent:unknown' }, 'deny', []],
  ['the refunds agent delegates writing', { ...DELEGATE, does: ['write'] }, 'deny', []],
  ['the refunds agent delegates financial data', { ...DELEGATE, data: ['financial'] }, 'deny', []],
  ['the refunds agent delegates a token', { ...DELEGATE, credential: 'vault-token' }, 'deny', []],
  ['the second agent delegates', { ...DELEGATE, who: 'agent:payouts' }, 'deny', []],
  ['the refunds agent extends', { action: 'extend' }, 'permit', ['refund-investigation-extend']],
  ['the second agent extends', { who: 'agent:payouts', action: 'extend' }, 'permit', ['refund-investigation-extend']],
  ['the refunds agent extends past the hour', { action: 'extend', ttl: 3_601 }, 'deny', ['ttl-one-hour']],
  ['the refunds agent extends an export, though approved', { ...EXPORT, action: 'extend', approvals: 1 }, 'deny', []],
  ['the orchestrator extends', { who: DECLARE.who, action: 'extend' }, 'deny', []],
  ['an unknown agent extends', { who: 'agent:unknown', action: 'extend' }, 'deny', []],
  ['writing for a refund', { does: ['write'] }, 'deny', []],
  ['reading and writing for a refund', { does: ['read', 'write'] }, 'deny', []],
  ['doing nothing for a refund', { does: [] }, 'deny', []],
  ['financial data for a refund', { data: ['financial'] }, 'deny', []],
  ['personal and financial data for a refund', { data: ['pii', 'financial'] }, 'deny', []],
  ['an unconfigured credential', { credential: 'root' }, 'deny', []],
  ['personal data for exactly a quarter of an hour', { data: ['pii'], ttl: 900, credential: 'orders-db' }, 'permit', ['refund-investigation-mint']],
  ['personal data for a second more', { data: ['pii'], ttl: 901 }, 'deny', ['ttl-pii-quarter-hour']],
  ['no personal data for an hour', { ttl: 3_600 }, 'permit', ['refund-investigation-mint']],
  ['anything for more than an hour', { ttl: 3_601 }, 'deny', ['ttl-one-hour']],
  ['a JWT for ten minutes', { credential: 'task-token', ttl: 600 }, 'permit', ['refund-investigation-mint']],
  ['a JWT for longer', { credential: 'task-token', ttl: 601 }, 'deny', ['ttl-unrevocable-ten-minutes']],
  ['an export', EXPORT, 'approval_required', ['data-export-mint']],
  ['an export of the bucket', { ...EXPORT, credential: 'reports-bucket' }, 'approval_required', ['data-export-mint']],
  ['an export of personal data for exactly a quarter of an hour', { ...EXPORT, data: ['pii'], ttl: 900 }, 'approval_required', ['data-export-mint']],
  ['an export for too long, not approved', { ...EXPORT, ttl: 901 }, 'deny', ['data-export-quarter-hour']],
  ['an export that two humans approved', { ...EXPORT, approvals: 2 }, 'permit', ['data-export-mint']],
  ['an export that a human approved', { ...EXPORT, approvals: 1 }, 'permit', ['data-export-mint']],
  ['an approved export by another agent', { ...EXPORT, who: 'agent:payouts', approvals: 1 }, 'deny', []],
  ['an export with another credential', { ...EXPORT, credential: 'vault-token' }, 'deny', []],
  ['an export for too long, though approved', { ...EXPORT, ttl: 901, approvals: 1 }, 'deny', ['data-export-quarter-hour']],
  ['reading under the purpose of exporting', { ...EXPORT, does: ['read'] }, 'deny', []],
  ['exporting under the purpose of a refund', { does: ['export'] }, 'deny', []],
  ['a refund that a human approved, with an action it may not have', { does: ['write'], approvals: 1 }, 'deny', []],
  ['the static key for longer than it can be taken back', { credential: 'payments-api-key', ttl: 601 }, 'deny', ['ttl-unrevocable-ten-minutes']],
  ['personal data for more than an hour', { data: ['pii'], ttl: 3_601 }, 'deny', ['ttl-one-hour', 'ttl-pii-quarter-hour']],
  ['an agent named in other letters', { who: 'AGENT:REFUNDS' }, 'deny', []],
  ['an agent called __proto__', { who: '__proto__' }, 'deny', []],
  ['a credential called __proto__', { credential: '__proto__' }, 'deny', []],
  ['a purpose that does not exist', { purpose: 'because' }, 'deny', []],
  ['a purpose called __proto__', { purpose: '__proto__' }, 'deny', []],
];

/** The two agents as their trust domain names them. */
const SPIFFE_IDS: Readonly<Record<string, string>> = { 'agent:refunds': 'spiffe://example.org/agent/refunds', 'agent:payouts': 'spiffe://example.org/agent/payouts' };
const byTrustDomain = (name: string): string => (Object.hasOwn(SPIFFE_IDS, name) ? SPIFFE_IDS[name] : undefined) ?? name;

/** Who asks for what, the answer, and the policies that must be named for it. An agent has the same rights under its SPIFFE ID. */
export const TABLE: readonly Row[] = [
  ...PLAIN,
  ...PLAIN.map(([name, ask, result, policies]): Row => {
    const { who = QUESTION.principal.subject, forAgent } = ask;
    return [`by SPIFFE ID: ${name}`, { ...ask, who: byTrustDomain(who), ...(forAgent === undefined ? {} : { forAgent: byTrustDomain(forAgent) }) }, result, policies];
  }),
  ...['spiffe://example.org/agent/refunds-evil', 'spiffe://example.org/agent/refunds/b', 'spiffe://other.org/agent/refunds', 'spiffe://example.org/agent'].map(
    (who): Row => [`another SPIFFE ID, ${who}`, { who }, 'deny', []],
  ),
];
