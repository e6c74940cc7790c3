import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { runMayfly } from '../support/run-mayfly.ts';
import { RunningBroker } from '../support/running-broker.ts';

let broker: RunningBroker;

beforeAll(async () => {
  broker = await RunningBroker.start();
}, 60_000);

afterAll(() => broker.stop(), 30_000);

async function mayfly(role: 'viewer' | 'operator' | 'admin', ...args: readonly string[]): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
  const ended = await runMayfly(broker, { of: role, jwt: await broker.operatorToken(role) }, ['agents', ...args]).catch((error: unknown) => error as { code: number; stdout: string; stderr: string });
  return { code: 'code' in ended ? ended.code : 0, out: ended.stdout, err: ended.stderr };
}

describe('agents on the command line', () => {
  it('are registered, looked at, stopped and let go on', async () => {
    const registration = ['--issuer', broker.stack.workloads.issuer, '--subject', 'agent:night', '--owner', 'team-night', '--purpose', 'ledger-close', '--purpose', 'data-export', '--review-by', '2020-01-01'];
    expect(await mayfly('operator', 'add', ...registration)).toMatchObject({ code: 5 });
    expect(await mayfly('admin', 'add', ...registration)).toMatchObject({ code: 0, out: expect.stringMatching(/^agt_[0-9a-f]{32} is registered: team-night answers for agent:night\n$/) });
    expect(await mayfly('admin', 'add', ...registration)).toMatchObject({ code: 1, err: expect.stringContaining('registered already') });
    const listed = await mayfly('viewer', 'ls');
    expect(listed.out).toMatch(/agent:night +team-night +enabled +2020-01-01 overdue +0 +0 +ledger-close data-export/);
    expect(listed.out).toMatch(/agent:refunds +team-refunds +enabled/);
    expect((await mayfly('viewer', 'ls', '--overdue')).out).not.toContain('agent:refunds');

    await broker.grant(['task-reference']);
    expect(await mayfly('operator', 'disable', 'agent:refunds', '--reason', 'a drill')).toMatchObject({ code: 2, err: expect.stringContaining('--yes') });
    expect(await mayfly('operator', 'disable', 'agent:refunds', '--reason', 'a drill', '--yes')).toMatchObject({ code: 0, out: expect.stringMatching(/^agent:refunds is disabled: nothing is granted to it\n[^]*revoked +task-reference/), err: expect.stringContaining('1 of 1 lease ended') });
    expect((await mayfly('viewer', 'get', 'agent:refunds')).out).toMatch(/state +disabled by olga at \S+: a drill\n/);
    const { agent } = JSON.parse((await mayfly('viewer', 'get', 'agent:refunds', '--json')).out) as { agent: { id: string; state: string; disabled: { reason: string } } };
    expect(agent).toMatchObject({ state: 'disabled', disabled: { reason: 'a drill' } });
    expect(await mayfly('operator', 'enable', agent.id)).toMatchObject({ code: 5 });
    expect(await mayfly('admin', 'enable', agent.id)).toMatchObject({ code: 0, out: 'agent:refunds is enabled\n' });
    expect(await mayfly('viewer', 'get', 'agent:nobody')).toMatchObject({ code: 4, err: expect.stringContaining('no agent is registered') });
  }, 60_000);
});
