import { describe, expect, it } from '@jest/globals';
import { faultsOf, load, RIGHT } from './config-fixture.ts';

const FIELDS = 'owner: team-refunds, purposes: [refund-investigation], review_by: 2027-01-31';
const withAgents = (...agents: readonly string[]): string => `${RIGHT}agents:\n${agents.map((agent) => `  - { ${agent} }\n`).join('')}`;

describe('agents in the configuration', () => {
  it('have their fields, and their defaults', () => {
    const { agents, unregistered_agents: unregistered, limits } = load(withAgents(`subject: spiffe://example.org/agent/refunds, ${FIELDS}`, `issuer: https://issuer.test, subject: agent:a, ${FIELDS}`));
    expect(agents).toMatchObject([{ subject: 'spiffe://example.org/agent/refunds', environments: [], review_by: '2027-01-31' }, { issuer: 'https://issuer.test' }]);
    expect([unregistered, limits.registered_agents]).toEqual(['policy', 10_000]);
  });

  it.each<[string, readonly string[], number, string, RegExp]>([
    ['whose issuer is not known', [`subject: agent:a, ${FIELDS}`], 45, 'agents.0.subject', /no SPIFFE ID/],
    ['whose issuer may not vouch here', [`issuer: https://other.test, subject: agent:a, ${FIELDS}`], 45, 'agents.0.issuer', /https:\/\/issuer\.test/],
    ['of a foreign trust domain', [`subject: spiffe://foreign.org/a, ${FIELDS}`], 45, 'agents.0.subject', /spiffe:\/\/example\.org/],
    ['that are there twice', [`subject: spiffe://example.org/a, ${FIELDS}`, `issuer: spiffe://example.org, subject: spiffe://example.org/a, ${FIELDS}`], 46, 'agents.1.subject', /twice/],
    ['without an owner', ['issuer: https://issuer.test, subject: agent:a, purposes: [a], review_by: 2027-01-31'], 45, 'agents.0.owner', /./],
    ['with a day that is none', ['issuer: https://issuer.test, subject: agent:a, owner: o, purposes: [a], review_by: 2027-02-30'], 45, 'agents.0.review_by', /a date/],
  ])('are refused at their line %s', (_name, agents, line, key, detail) => {
    expect(faultsOf(withAgents(...agents))).toEqual([expect.objectContaining({ line, key, detail: expect.stringMatching(detail) as unknown })]);
  });
});
