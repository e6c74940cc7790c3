import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { at } from '../support/at.ts';
import { runMayfly } from '../support/run-mayfly.ts';
import { RunningBroker } from '../support/running-broker.ts';

let broker: RunningBroker;

beforeAll(async () => {
  broker = await RunningBroker.start();
}, 60_000);

afterAll(() => broker.stop(), 30_000);

/** Runs the command line as a workload, against the running broker. */
async function mayfly(subject: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<string> {
  return (await runMayfly(broker, { of: subject, jwt: await broker.agentToken(subject) }, args, env)).stdout;
}

describe('the life of a task on the command line', () => {
  it('declared for another, claimed with its ticket, extended, reissued, completed', async () => {
    const declared = await mayfly('orchestrator:support-desk', [
      ...['request', '--agent', 'agent:refunds', '--claim-ticket', '--ttl', '60'],
      ...['--purpose', 'refund-investigation', '--action', 'read', '--credential', 'task-reference', '--idempotency-key', 'order-96'],
    ]);
    const [, task = '', ticket = ''] = /^task (\S+) pending_claim\nclaim_ticket=(\S+)$/m.exec(declared) ?? [];
    expect(ticket).toHaveLength(43);
    const claimed = await mayfly('agent:refunds', ['claim', task], { MAYFLY_CLAIM_TICKET: ticket });
    expect(claimed).toMatch(/^task-reference\.token=/m);
    expect(await mayfly('agent:refunds', ['extend', task, '--ttl', '120'])).toMatch(/task-reference +renewed +[12]m/);
    const reissued = JSON.parse(await mayfly('agent:refunds', ['reissue', task, 'task-reference', '--json'])) as { credentials: { secret: { token: string } }[] };
    expect(claimed).not.toContain(at(reissued.credentials, 0).secret.token);
    expect(await mayfly('orchestrator:support-desk', ['heartbeat', task])).toContain('active');
    expect(await mayfly('orchestrator:support-desk', ['complete', task])).toContain('ended (completed)');
  }, 30_000);

  it('says why a claim is refused', async () => {
    const declared = await mayfly('agent:refunds', ['request', '--start', 'claim', '--purpose', 'refund-investigation', '--action', 'read', '--credential', 'task-reference', '--json']);
    const { task } = JSON.parse(declared) as { task: { id: string } };
    await mayfly('agent:refunds', ['claim', task.id]);
    await expect(mayfly('agent:refunds', ['claim', task.id])).rejects.toMatchObject({ stderr: expect.stringContaining('claimed already') });
  }, 30_000);
});
