import type { Config } from '../config/config-schema.ts';
import { systemClock } from '../core/clock.ts';
import { UNREGISTERED, type PolicyQuestion } from '../policy/decision.ts';
import { createExternalPolicy, createPolicyFetch } from '../policy/external-policy.ts';
import { failure, ok, warning, type Check } from './check.ts';

/** Asks the external decision point once, as an agent that there is not. Nothing where none is configured. */
export const externalPolicyChecks = (config: Config): Check[] => {
  const { external } = config.policy;
  if (external === undefined) return [];
  return [
    {
      area: 'policy.external',
      async look() {
        const check = 'policy.external';
        const policy = createExternalPolicy(external, { fetch: createPolicyFetch(external, config), clock: systemClock, observe: () => undefined });
        const { verdict, fault, tookMs } = await policy.ask([questionOf(config)]);
        if (verdict === 'unavailable') return [failure(check, `${external.url}: ${fault ?? 'cannot be asked'}; nothing is granted`, 'mend it, or policy.external')];
        if (verdict === 'permit') return [warning(check, `${external.url}: permits an agent that there is not`, 'see whether it permits everybody')];
        return [ok(check, `${external.url}: answers within ${tookMs} ms`)];
      },
    },
  ];
};

const questionOf = ({ environment, credentials }: Config): PolicyQuestion => ({
  action: 'mint',
  principal: { issuer: 'mayfly', subject: 'mayfly:doctor' },
  agentFacts: UNREGISTERED,
  credential: { name: Object.keys(credentials)[0] ?? 'none', provider: 'none', kind: 'none', revocability: 'none', owner: 'none' },
  purpose: 'doctor',
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
  ttlSeconds: 1,
  delegationDepth: 0,
  delegationChain: [],
  tool: null,
  touched: [],
  environment,
  senderBound: false,
  liveLeases: 0,
  grantsLastHour: 0,
  purposeGrantsLastHour: 0,
  denialsInARow: 0,
  nowMs: systemClock.now(),
});
