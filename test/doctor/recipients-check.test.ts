import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Config } from '../../src/config/config-schema.ts';
import { runChecks, type Finding } from '../../src/doctor/check.ts';
import { recipientChecks } from '../../src/doctor/recipients-check.ts';

let server: Server;
let origin: string;
let folder: string;
const asked: string[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mayfly-recipients-'));
  server = createServer((request, response) => {
    asked.push(request.method ?? '');
    response.statusCode = request.url === '/gone' ? 410 : 405;
    response.end();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  server.close();
  await rm(folder, { recursive: true });
});

const look = async (url: string, allowPrivateAddresses = true): Promise<Finding | undefined> => {
  const webhook: Config['webhooks'][number] = { name: 'siem', url, secret_files: ['/nowhere'], events: ['*'], format: 'thin', allow_private_addresses: allowPrivateAddresses };
  return (await runChecks(recipientChecks({ environment: 'development', webhooks: [webhook], notices: [] })))[0];
};

describe('a recipient of events', () => {
  it('is well where it answers, whatever it says to a GET, and is sent no message', async () => {
    expect(await look(`${origin}/hook`)).toMatchObject({ check: 'webhooks.siem', standing: 'ok' });
    expect(asked).toEqual(['GET']);
  });

  it('is told where it is gone, away, or on an address that is not allowed, with what mends it', async () => {
    expect(await look(`${origin}/gone`)).toMatchObject({ standing: 'warning', found: expect.stringContaining('gone') as unknown });
    expect(await look('http://127.0.0.1:1/')).toMatchObject({ standing: 'failure', found: expect.stringContaining('127.0.0.1:1 is not reached') as unknown });
    expect(await look(`${origin}/hook`, false)).toMatchObject({ standing: 'failure', fix: expect.stringContaining('allow_private_addresses') as unknown });
  });

  it('of notices has an address that is itself a secret, and is never shown', async () => {
    const file = join(folder, 'url');
    await writeFile(file, `${origin}/services/T000/hunter2\n`);
    const notices: Config['notices'] = [{ name: 'desk', kind: 'slack', url_file: file, allow_private_addresses: true }];
    const up = await runChecks(recipientChecks({ environment: 'development', webhooks: [], notices }));
    await writeFile(file, 'http://127.0.0.1:1/services/T000/hunter2\n');
    const down = await runChecks(recipientChecks({ environment: 'development', webhooks: [], notices }));
    expect([...up, ...down]).toMatchObject([{ check: 'notices.desk', standing: 'ok' }, { check: 'notices.desk', standing: 'failure' }]);
    expect(JSON.stringify([up, down])).not.toContain('hunter2');
  });
});
