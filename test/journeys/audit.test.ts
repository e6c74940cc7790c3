import { execFile } from 'node:child_process';
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { parseVerifierKey, openNote } from '../../src/audit/signed-note.ts';
import { runMayfly } from '../support/run-mayfly.ts';
import { RunningBroker } from '../support/running-broker.ts';
import { until } from '../support/until.ts';

const run = promisify(execFile);
const LAUNCHER = join(import.meta.dirname, '../../bin/mayfly.js');
const VERIFIER = join(import.meta.dirname, '../../examples/verify-proof/verify_proof.py');
let broker: RunningBroker;
let viewer: string;

beforeAll(async () => {
  broker = await RunningBroker.start();
  viewer = await broker.operatorToken('viewer');
}, 60_000);

afterAll(() => broker.stop(), 30_000);

interface Item {
  readonly seq: number;
  readonly event: { readonly type: string; readonly task: string | null };
}
const search = async (query: string): Promise<{ items: Item[]; next_cursor: string | null }> =>
  (await broker.call('GET', `/v1/audit?${query}`, viewer)).body as unknown as { items: Item[]; next_cursor: string | null };
const mayfly = (args: readonly string[]) => run(process.execPath, [LAUNCHER, ...args], { env: { PATH: process.env['PATH'] ?? '' } });

describe('the audit log over HTTP', () => {
  it('is searched by task, type, agent, purpose and time, page by page', async () => {
    const grant = await broker.grant(['task-reference', 'vault-token']);
    await broker.complete(grant);
    // The file is made with its first record.
    const ended = async (): Promise<boolean> => JSON.stringify(await search(`task=${grant.id}`)).includes('task.ended');
    await until(ended);
    const all = await search(`task=${grant.id}&order=oldest`);
    expect(all.items.map(({ event }) => event.type)).toEqual(expect.arrayContaining(['task.declared', 'task.activated', 'task.ending', 'lease.revoked', 'task.ended']));
    expect(all.items.every(({ event }) => event.task === grant.id)).toBe(true);
    expect((await search(`task=${grant.id}&type=lease`)).items.every(({ event }) => event.type.startsWith('lease.'))).toBe(true);
    expect((await search('agent=agent%3Arefunds&purpose=refund-investigation')).items.length).toBeGreaterThan(3);
    expect((await search('agent=nobody')).items).toEqual([]);
    expect((await search('since=2100-01-01T00:00:00Z')).items).toEqual([]);

    const paged: number[] = [];
    let cursor: string | null = '';
    while (cursor !== null) {
      const page: Awaited<ReturnType<typeof search>> = await search(`task=${grant.id}&limit=2${cursor === '' ? '' : `&cursor=${cursor}`}`);
      paged.push(...page.items.map(({ seq }) => seq));
      cursor = page.next_cursor;
    }
    expect(paged).toEqual(all.items.map(({ seq }) => seq).reverse());
  });

  it('tells what an agent was authorised to do in a time, and why, and what it was refused', async () => {
    const grant = await broker.grant(['orders-db']);
    expect((await broker.call('POST', '/v1/tasks', grant.token, { purpose: 'payroll', actions: ['read'], credentials: [{ name: 'orders-db' }] })).status).toBe(403);
    await broker.complete(grant);
    const told = async (query = '') => (await broker.call('GET', `/v1/audit/story?agent=agent%3Arefunds${query}`, viewer)).body as { items: { kind: string; task?: string; ended_at?: string | null }[]; next_cursor: string | null };
    const mine = async () => (await told()).items.find(({ task }) => task === grant.id);
    await until(async () => typeof (await mine())?.ended_at === 'string', { what: 'the end is on the record', everyMs: 100 });
    expect(await mine()).toMatchObject({
      decisions: [{ what: 'task.declared', result: 'permit', policies: [expect.stringContaining('refund-investigation')], policy_version: expect.stringMatching(/^sha256:/) }],
      leases: [{ credential: 'orders-db', outcome: 'revoked', reason: 'completed', granted_at: expect.any(String), exposure_seconds: expect.any(Number) }],
      end_reason: 'completed',
    });
    expect((await told()).items).toContainEqual(expect.objectContaining({ kind: 'refusal', what: 'task.denied', result: 'deny', purpose: 'payroll', credentials: ['orders-db'] }));
    // A page at a time, each item once.
    const paged: unknown[] = [];
    for (let cursor: string | null = ''; cursor !== null; ) {
      const page = await told(`&limit=1${cursor === '' ? '' : `&cursor=${cursor}`}`);
      paged.push(...page.items);
      cursor = page.next_cursor;
    }
    expect(paged).toEqual((await told()).items);
    expect((await told('&since=2020-01-01T00:00:00Z&until=2020-01-02T00:00:00Z')).items).toEqual([]);

    const line = async (...args: string[]): Promise<string> => (await runMayfly(broker, { of: 'viewer', jwt: viewer }, ['audit', 'story', '--agent', 'agent:refunds', ...args])).stdout;
    const today = await line('--on', 'today');
    expect(today).toMatch(new RegExp(`^${grant.id}  agent:refunds  refund-investigation: read$`, 'm'));
    expect(today).toMatch(/^refused {2}\S+ task\.denied \(agent:refunds\): deny .*\[payroll: read with orders-db\]$/m);
    expect(await line('--since', '2020-01-01', '--until', '2020-01-02')).toContain('was authorised to do nothing in this time');
    // The same from the file alone, without a broker.
    const fromFile = await run(process.execPath, [LAUNCHER, 'audit', 'story', '--agent', 'agent:refunds', '--on', 'today', '--audit', broker.stack.auditFile], { env: { PATH: process.env['PATH'] ?? '', TZ: 'Europe/Berlin' } });
    expect(fromFile.stdout).toContain(grant.id);
    expect(fromFile.stderr).toMatch(/^from \S+ 00:00:00 Europe\/Berlin \(\+0[12]:00\) until/);
  }, 40_000);

  it('points at a bad filter, and is for operators', async () => {
    expect(await broker.call('GET', '/v1/audit?since=yesterday', viewer)).toMatchObject({ status: 422, body: { errors: [{ pointer: '/since' }] } });
    expect(await broker.call('GET', '/v1/audit/story?since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z&agent=x', viewer)).toMatchObject({ status: 422, body: { errors: [{ pointer: '/since' }] } });
    expect(await broker.call('GET', '/v1/audit/story', viewer)).toMatchObject({ status: 422, body: { errors: [{ pointer: '/agent' }] } });
    expect((await broker.call('GET', '/v1/audit', await broker.agentToken())).status).toBe(403);
  });
});

describe('an auditor without the files', () => {
  const ask = async (path: string): Promise<{ readonly status: number; readonly body: unknown }> => broker.call('GET', path, viewer);
  const lines = async (query: string): Promise<string[]> => {
    const answer = await fetch(`${broker.url}/v1/audit/export?${query}`, { headers: { Authorization: `Bearer ${viewer}` } });
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'application/x-ndjson']);
    return (await answer.text()).trimEnd().split('\n');
  };
  /** What the verifier says that shares no code with Mayfly. */
  const verified = async (bundle: unknown): Promise<string> => {
    const { verifier_keys: keys } = (await ask('/v1/audit/checkpoint')).body as { verifier_keys: string[] };
    const file = join(broker.stack.directory, 'proof.json');
    await writeFile(file, JSON.stringify(bundle));
    return (await run('python3', [VERIFIER, file, keys[0] ?? ''])).stdout;
  };

  it('gets a task of the log in each format, as the command line writes it from the file', async () => {
    const grant = await broker.grant(['task-reference']);
    await broker.complete(grant);
    await until(async () => (await search(`task=${grant.id}&type=task.ended`)).items.length === 1);
    const whole = await lines(`task=${grant.id}`);
    const inFile = (await readFile(broker.stack.auditFile, 'utf8')).split('\n').filter((line) => line.includes(`"task":"${grant.id}"`));
    expect(whole).toEqual(inFile);
    for (const format of ['jsonl', 'ocsf', 'cloudevents']) {
      const written = await mayfly(['audit', 'export', '--task', grant.id, '--format', format, '--audit', broker.stack.auditFile]);
      expect(await lines(`task=${grant.id}&format=${format}`)).toEqual(written.stdout.trimEnd().split('\n'));
    }
    expect(await lines('agent=nobody')).toEqual(['']);
    expect(await ask('/v1/audit/export?format=csv')).toMatchObject({ status: 422, body: { errors: [{ pointer: '/format' }] } });
  }, 60_000);

  it('gets proofs that a verifier takes which shares no code with Mayfly: of records, and that the log of before is still there', async () => {
    await until(async () => (await ask('/v1/audit/checkpoint')).status === 200, { timeoutMs: 20_000, everyMs: 200 });
    const { note: kept } = (await ask('/v1/audit/checkpoint')).body as { note: string };
    const size = Number(kept.split('\n')[1]);
    const grant = await broker.grant(['task-reference']);
    await broker.complete(grant);
    const declared = async (): Promise<Item | undefined> => (await search(`task=${grant.id}&type=task.declared`)).items[0];
    await until(async () => (await declared()) !== undefined);
    const record = (await declared()) as Item & { readonly event: { readonly id: string } };
    // Proven as soon as the next checkpoint has it.
    await until(async () => (await ask(`/v1/audit/proof?record=${record.event.id}`)).status === 200, { timeoutMs: 30_000, everyMs: 200 });
    const { body: proof } = await ask(`/v1/audit/proof?record=1,${record.event.id}`);
    expect(await verified(proof)).toMatch(new RegExp(`record ${record.seq}: task.declared`));
    await expect(verified(JSON.parse(JSON.stringify(proof).replace('task.declared', 'task.denied')))).rejects.toThrow();

    const { body: continued } = await ask(`/v1/audit/consistency?from=${size}`);
    expect(continued).toMatchObject({ old: kept });
    expect(await verified(continued)).toContain(String(size));
    const newest = Number((continued as { new: string }).new.split('\n')[1]);
    expect(newest).toBeGreaterThan(size);
    expect((await ask(`/v1/audit/consistency?from=${size}&to=${newest}`)).body).toEqual(continued);
    await expect(verified({ ...(continued as object), path: [] })).rejects.toThrow();

    expect(await ask('/v1/audit/proof?record=900000000')).toMatchObject({ status: 404 });
    expect(await ask('/v1/audit/consistency?from=900000000')).toMatchObject({ status: 409, body: { code: 'not_proven' } });
    expect(await ask(`/v1/audit/consistency?from=${newest}&to=${size}`)).toMatchObject({ status: 409, body: { code: 'not_proven' } });
    expect(await ask('/v1/audit/proof?record=1%2F2')).toMatchObject({ status: 422, body: { errors: [{ pointer: '/record' }] } });
  }, 90_000);
});

describe('checkpoints', () => {
  it('are signed, served, and find a tail that was cut off', async () => {
    await until(async () => (await broker.call('GET', '/v1/audit/checkpoint', viewer)).status === 200, { timeoutMs: 20_000, everyMs: 200 });
    const { note, verifier_keys: keys } = (await broker.call('GET', '/v1/audit/checkpoint', viewer)).body as { note: string; verifier_keys: string[] };
    expect(openNote(note, keys.map(parseVerifierKey))).toMatch(new RegExp(`^${broker.stack.deploymentId}/mayfly-audit\\n\\d+\\n`));
    const key = keys[0] ?? '';
    const file = broker.stack.auditFile;
    expect((await mayfly(['audit', 'verify', file, '--key', key])).stderr).toContain('signed up to record');

    const cut = join(broker.stack.directory, 'cut.jsonl');
    const [first = ''] = (await readFile(file, 'utf8')).split('\n');
    await writeFile(cut, `${first}\n`);
    await copyFile(`${file}.checkpoints`, `${cut}.checkpoints`);
    await expect(mayfly(['audit', 'verify', cut, '--key', key])).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining('cut: it ends with record 1') });
    expect((await mayfly(['audit', 'verify', cut])).stderr).toContain('were not looked for');
  }, 40_000);

  it('are never signed over a gap: a broker whose file was cut grants nothing', async () => {
    await broker.broker?.stop();
    const file = broker.stack.auditFile;
    const text = await readFile(file, 'utf8');
    await writeFile(file, text.split('\n').slice(0, 1).join('\n') + '\n');
    await broker.startBroker();
    await until(async () => (await broker.log()).includes('it was cut or rewritten'), { timeoutMs: 20_000 });
    await broker.broker?.stop();
    await writeFile(file, text);
    await broker.startBroker();
    await broker.complete(await broker.grant(['task-reference']));
    await until(async () => (await search('type=sealer')).items.length > 1, { timeoutMs: 20_000 });
  }, 60_000);
});

describe('records on standard output', () => {
  it('are the same chain, which goes on after a restart', async () => {
    const shipped = await RunningBroker.start({ audit: { file: join(broker.stack.directory, 'head.json'), sink: 'stdout' } });
    try {
      const lines = async (): Promise<string[]> => (await shipped.log()).split('\n').filter((line) => line.startsWith('{"epoch":'));
      await shipped.complete(await shipped.grant(['task-reference']));
      await until(async () => (await lines()).some((line) => line.includes('task.ended')));
      await shipped.broker?.stop();
      await shipped.startBroker();
      await shipped.complete(await shipped.grant(['task-reference']));
      await until(async () => (await lines()).filter((line) => line.includes('"task.ended"')).length === 2);
      const collected = join(broker.stack.directory, 'collected.jsonl');
      await writeFile(collected, (await lines()).join('\n') + '\n');
      expect((await mayfly(['audit', 'verify', collected])).stdout).toContain('is whole');
      expect(await shipped.call('GET', '/v1/audit', await shipped.operatorToken('viewer'))).toMatchObject({ status: 503, body: { code: 'audit_elsewhere' } });
    } finally {
      await shipped.stop();
    }
  }, 60_000);
});
