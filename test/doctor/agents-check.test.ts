import { describe, expect, it } from '@jest/globals';
import { epochMsFrom } from '../../src/core/time.ts';
import type { ConfiguredAgent } from '../../src/config/config-schema.ts';
import { judgeAgents } from '../../src/doctor/agents-check.ts';

const NOW = epochMsFrom(Date.parse('2026-03-10T12:00:00Z'));
const PURPOSES = new Set(['refund-investigation']);
const agent = (change: Partial<ConfiguredAgent> = {}): ConfiguredAgent => ({ subject: 'agent:refunds', owner: 'team-refunds', purposes: ['refund-investigation'], environments: [], review_by: '2026-03-10', ...change });

describe('what doctor says of agents', () => {
  it.each<[string, readonly ConfiguredAgent[], 'policy' | 'refuse', ReadonlySet<string> | null, readonly string[]]>([
    ['that somebody answers for, and looks at', [agent()], 'policy', PURPOSES, ['agents.owners ok', 'agents.review ok']],
    ['that nobody looked at in time', [agent({ review_by: '2026-03-09' })], 'policy', PURPOSES, ['agents.owners ok', 'agents.review warning']],
    ['that nobody answers for', [], 'policy', PURPOSES, ['agents.owners warning', 'agents.review ok']],
    ['that are refused without an owner', [], 'refuse', PURPOSES, ['agents.owners ok', 'agents.review ok']],
    ['registered for what policy does not know', [agent({ purposes: ['world-peace'] })], 'policy', PURPOSES, ['agents.owners ok', 'agents.review ok', 'agents.purposes warning']],
    ['where policy does not compile', [agent()], 'policy', null, ['agents.owners ok', 'agents.review ok', 'agents.purposes skipped']],
  ])('%s', (_name, agents, unregistered, purposes, standings) => {
    const findings = judgeAgents({ agents: [...agents], unregistered_agents: unregistered }, purposes, NOW);
    expect(findings.map(({ check, standing }) => `${check} ${standing}`)).toEqual(standings);
  });
});
