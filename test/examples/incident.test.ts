import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { RunningBroker } from '../support/running-broker.ts';

const run = promisify(execFile);
const example = join(import.meta.dirname, '../../examples/incident/show.ts');
let broker: RunningBroker;
let stack: string;

beforeAll(async () => {
  broker = await RunningBroker.start({}, [], { aws: true });
  stack = await broker.writeDevJson();
}, 60_000);

afterAll(() => broker.stop(), 30_000);

describe('examples/incident', () => {
  it('ends all that a compromised agent holds at two providers by one command, and shows that nothing works any more', async () => {
    // Such as whoever read the other pages first has left: a signed token, which no lock and no revocation ends.
    await broker.grant(['task-token'], { ttlSeconds: 300 });
    const { stdout } = await run(process.execPath, [example, '--stack', stack, '--tasks', '20']);
    expect(stdout).toMatch(/agent:refunds holds 40 credentials of 20 tasks/);
    expect(stdout).toMatch(/thief +took them all: 40 of 40 work/);
    expect(stdout).toMatch(/operator +mayfly lock create --agent agent:refunds --for 1h --revoke/);
    expect(stdout).toMatch(/agent:refunds asks for more: 403/);
    expect(stdout).toMatch(/thief +tries them all again: 0 of 40 work/);
    expect(stdout.match(/receipts +20 of \S+: 20 revoked; the first dead after/g)).toHaveLength(2);
    expect(stdout).toMatch(/the last confirmed death came \d+\.\d s after the key was pressed/);
    const { body } = await broker.call('GET', '/v1/locks', await broker.operatorToken());
    expect(body['items']).toEqual([]);
  }, 90_000);

  it('runs on a stack that mints the export which its policies let a human approve', async () => {
    const agent = await broker.agentToken();
    const { body } = await broker.call('POST', '/v1/tasks', agent, { purpose: 'data-export', actions: ['export'], credentials: [{ name: 'reports-bucket' }] });
    const { id } = body['task'] as { id: string };
    await broker.call('POST', `/v1/tasks/${id}/approval`, await broker.operatorToken(), { decision: 'approve' });
    expect((await broker.call('POST', `/v1/tasks/${id}/claim`, agent, {})).status).toBe(201);
  }, 30_000);
});
