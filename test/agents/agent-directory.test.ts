import { describe, expect, it } from '@jest/globals';
import { createAgentDirectory } from '../../src/agents/agent-directory.ts';
import type { AgentRegister } from '../../src/agents/agent-register.ts';
import { TamperedRecord } from '../../src/ledger/record-seal.ts';
import { UNREGISTERED } from '../../src/policy/decision.ts';

const agent = (subject: string) => ({ issuer: 'https://issuer.test', subject });

function directory(standingOf: AgentRegister['standingOf']) {
  return createAgentDirectory({ standingOf, list: () => Promise.resolve({ items: [], more: false }) });
}

describe('the directory of agents', () => {
  it('asks the register once about each agent, however many leases it has', async () => {
    const asked: string[] = [];
    const known = directory(({ subject }) => {
      asked.push(subject);
      return Promise.resolve({ facts: { ...UNREGISTERED, registered: true, owner: `team of ${subject}`, reviewOverdue: true }, disabled: false });
    });
    const tagOf = await known.describe(Array.from({ length: 1_000 }, (_, index) => agent(`a${index % 3}`)));
    await known.describe([agent('a0')]);
    expect(asked).toEqual(['a0', 'a1', 'a2']);
    expect(tagOf(agent('a1'))).toEqual({ owner: 'team of a1', reviewOverdue: true, disabled: false });
  });

  it('does not take away the look at leases where the register was meddled with', async () => {
    const known = directory(() => Promise.reject(new TamperedRecord('agent', 'agt_0')));
    expect((await known.describe([agent('a')]))(agent('a'))).toEqual({ owner: null, reviewOverdue: false, disabled: false });
    const away = directory(() => Promise.reject(new Error('Redis is away')));
    await expect(away.describe([agent('a')])).rejects.toThrow('Redis is away');
  });
});
