import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { compactVerify, createLocalJWKSet, type JSONWebKeySet } from 'jose';
import { at } from '../support/at.ts';
import { RunningBroker } from '../support/running-broker.ts';
import { until } from '../support/until.ts';

const run = promisify(execFile);
const LAUNCHER = join(import.meta.dirname, '../../bin/mayfly.js');
let broker: RunningBroker;

beforeAll(async () => {
  broker = await RunningBroker.start();
}, 60_000);

afterAll(() => broker.stop(), 30_000);

describe('the receipt of a database login', () => {
  it('is verified by whoever has the published keys, with a library that knows nothing of Mayfly', async () => {
    const grant = await broker.grant(['orders-db']);
    const { lease_id: lease } = at(grant.credentials, 0);
    const viewer = await broker.operatorToken('viewer');
    expect(await broker.call('GET', `/v1/leases/${lease}/receipt`, viewer)).toMatchObject({ status: 409, body: { code: 'lease_not_ended' } });
    await broker.complete(grant);
    await until(async () => (await broker.call('GET', `/v1/leases/${lease}/receipt`, viewer)).status === 200);
    const { receipt, jws } = (await broker.call('GET', `/v1/leases/${lease}/receipt`, viewer)).body as { receipt: Record<string, unknown>; jws: string };
    expect(receipt).toMatchObject({ lease_id: lease, task_id: grant.id, outcome: 'revoked', reason: 'completed', statement: expect.stringContaining('knew it no longer'), deployment_id: broker.stack.deploymentId });
    expect(Number(receipt['exposure_seconds'])).toBeLessThan(5);
    const published = (await broker.call('GET', '/v1/receipts/keys', null)).body as unknown as JSONWebKeySet;
    const { payload, protectedHeader } = await compactVerify(jws, createLocalJWKSet(published));
    expect(protectedHeader).toMatchObject({ alg: 'EdDSA', typ: 'mayfly-receipt' });
    expect(JSON.parse(Buffer.from(payload).toString())).toEqual(receipt);
  }, 30_000);

  it('is printed, kept and verified on the command line', async () => {
    const grant = await broker.grant(['vault-token']);
    const { lease_id: lease } = at(grant.credentials, 0);
    await broker.complete(grant);
    const file = (name: string): string => join(broker.stack.directory, name);
    await writeFile(file('viewer'), await broker.operatorToken('viewer'), { mode: 0o600 });
    const mayfly = (...args: string[]): Promise<string> => run(process.execPath, [LAUNCHER, ...args], { env: { PATH: process.env['PATH'] ?? '' } }).then(({ stdout }) => stdout, (error: unknown) => (error as { stderr: string }).stderr);
    const asViewer = ['--addr', broker.url, '--token-file', file('viewer')];
    await until(async () => (await broker.call('GET', `/v1/leases/${lease}/receipt`, await broker.operatorToken('viewer'))).status === 200);
    expect(await mayfly('receipts', 'get', lease, ...asViewer)).toMatch(new RegExp(`${lease} +revoked[\\s\\S]*The target ended it`));
    await writeFile(file('receipt.json'), await mayfly('receipts', 'get', lease, '--json', ...asViewer));
    await writeFile(file('keys.json'), await mayfly('receipts', 'keys', ...asViewer));
    expect(await mayfly('receipts', 'verify', file('receipt.json'), '--keys', file('keys.json'))).toContain(`genuine: ${lease} revoked`);
    await writeFile(file('forged.json'), JSON.stringify({ jws: `${JSON.stringify('x')}.x.x` }));
    expect(await mayfly('receipts', 'verify', file('forged.json'), '--keys', file('keys.json'))).toContain('not signed by any of these keys');
  }, 30_000);
});
