import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { at } from '../support/at.ts';
import { RunningBroker } from '../support/running-broker.ts';

let broker: RunningBroker;

beforeAll(async () => {
  broker = await RunningBroker.start();
}, 60_000);

afterAll(() => broker.stop(), 30_000);

describe('overlapping tasks of one agent', () => {
  it('end one by one: the end of one cuts nothing of the others, open connections included', async () => {
    const token = await broker.agentToken();
    const tasks = await Promise.all(Array.from({ length: 4 }, () => broker.grant(['orders-db', 'vault-token'], { token })));
    const connections = tasks.map(({ credentials }) => broker.psql(at(credentials, 0)));
    await Promise.all(connections.map((connection) => connection.connect()));
    const answers = async (index: number): Promise<boolean> => at(connections, index).query('select count(*) from orders').then(() => true, () => false);
    const isLive = async (index: number): Promise<boolean> => (await broker.liveTokens()).includes(at(at(tasks, index).credentials, 1).lease_id);

    for (const [ended, task] of tasks.entries()) {
      expect((await broker.complete(task)).status).toBe(200);
      for (const index of tasks.keys()) {
        const lives = index > ended;
        expect([index, await answers(index), await isLive(index), await broker.canLogIn(at(at(tasks, index).credentials, 0))]).toEqual([index, lives, lives, lives]);
      }
    }
    await Promise.all(connections.map((connection) => connection.end().catch(() => undefined)));
  }, 60_000);
});
