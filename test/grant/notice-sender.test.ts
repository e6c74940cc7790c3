import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Redis } from 'ioredis';
import { Webhook } from 'standardwebhooks';
import { eventsKey } from '../../src/audit/event-stream-keys.ts';
import type { Config } from '../../src/config/config-schema.ts';
import { shardOf } from '../../src/core/ids.ts';
import { addMs, addSeconds } from '../../src/core/time.ts';
import { NoticeSender, type NoticeOutcome } from '../../src/grant/notice-sender.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { noticesKey } from '../../src/ledger/redis-keys.ts';
import { envelopeDigest } from '../../src/task/approval.ts';
import type { Task } from '../../src/task/task.ts';
import { at } from '../support/at.ts';
import { AGENT, draftTask, testLedger } from '../support/ledger-fixture.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { useRedis } from '../support/use-redis.ts';

const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
const JUSTIFICATION = '<!channel> @here *urgent* <https://evil.example|click> & "now"';

let redis: Redis;
let clock: ManualClock;
let ledger: Ledger;
let server: Server;
let folder: string;
let status: number;
let taken: { readonly headers: IncomingHttpHeaders; readonly body: string }[];
let outcomes: NoticeOutcome[];
let said: string[];

useRedis((connection) => {
  redis = connection;
  clock = new ManualClock(Date.now());
});

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mayfly-notices-'));
  server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      taken.push({ headers: request.headers, body });
      response.writeHead(status).end();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  await writeFile(join(folder, 'url'), `http://127.0.0.1:${(server.address() as AddressInfo).port}/hooks/T0KEN\n`);
  await writeFile(join(folder, 'secret'), `${SECRET}\n`);
});

afterAll(async () => {
  server.close();
  server.closeAllConnections();
  await rm(folder, { recursive: true, force: true });
});

beforeEach(() => {
  status = 204;
  taken = [];
  outcomes = [];
  said = [];
});

type Notice = Config['notices'][number];
const WEBHOOK: Notice = { name: 'on-call', kind: 'webhook', url_file: 'url', secret_file: 'secret', allow_private_addresses: true };
const SLACK: Notice = { name: 'chat', kind: 'slack', url_file: 'url', allow_private_addresses: true };

function senderFor(...notices: readonly Notice[]): NoticeSender {
  ({ ledger } = testLedger(redis, clock, { noticesTo: notices.map(({ name }) => name) }));
  const inFolder = notices.map((one) => ({ ...one, url_file: join(folder, one.url_file), ...(one.secret_file === undefined ? {} : { secret_file: join(folder, one.secret_file) }) }));
  const log = (fields: object, message: string): void => void said.push(`${JSON.stringify(fields)} ${message}`);
  return new NoticeSender({ ledger, notices: inFolder, environment: 'development', publicUrl: 'https://mayfly.example', risk: { read: 'medium' }, clock, observe: ({ outcome }) => outcomes.push(outcome), log: { warn: log, error: log } });
}

function waiting(): Promise<Task> {
  const { envelope } = draftTask(clock);
  const decision = { ...envelope.decision, result: 'approval_required', approvalsNeeded: 2 } as const;
  return ledger.parkTask({ ...envelope, justification: JUSTIFICATION, credentials: [{ name: 'orders-db', ttlSeconds: 60, params: { customer: 42 } }], waitsUntilMs: addSeconds(clock.now(), 900), decision }, 'pending_approval', AGENT, {});
}

const owed = async (task: Task): Promise<number> => redis.zcard(noticesKey(shardOf(task.id)));

describe('a task that begins to wait', () => {
  it('is told to a webhook that checks signatures: what, by whom, why, until when, and how to decide', async () => {
    const sender = senderFor(WEBHOOK);
    const task = await waiting();
    await sender.sendDue();
    const { headers, body } = at(taken, 0);
    const sent = new Webhook(SECRET).verify(body, headers as Record<string, string>);
    expect(sent).toMatchObject({
      type: 'task.approval_required',
      data: {
        ...{ task: task.id, agent: 'agent:refunds', declarer: 'agent:refunds', purpose: 'refund-investigation', actions: ['read'], risk: 'medium', justification: JUSTIFICATION, approvals_needed: 2 },
        ...{ credentials: [{ name: 'orders-db', ttl_seconds: 60 }], envelope_digest: envelopeDigest(task), waits_until: expect.stringMatching(/Z$/) },
        decide: { call: `POST /v1/tasks/${task.id}/approval`, command: `mayfly approvals get ${task.id}`, url: 'https://mayfly.example' },
      },
    });
    expect(() => new Webhook(SECRET).verify(`${body} `, headers as Record<string, string>)).toThrow();
    expect(await owed(task)).toBe(0);
    await sender.sendDue();
    expect(taken).toHaveLength(1);
    expect(outcomes).toEqual(['sent']);
  });

  it('is told to Slack in one text, in which nothing of the declarer is obeyed', async () => {
    const sender = senderFor(SLACK);
    const task = await waiting();
    await sender.sendDue();
    const { text, mrkdwn } = JSON.parse(at(taken, 0).body) as { text: string; mrkdwn: boolean };
    expect(mrkdwn).toBe(false);
    expect(text).not.toMatch(/[<>]|@[a-z]/);
    expect(text).toContain('&lt;!channel&gt;');
    expect(text).toContain(`mayfly approvals get ${task.id}`);
    expect(text).toContain('To do: read (risk: medium)\n');
    expect(text).toMatch(/^A task waits for 2 approvals until /);
  });

  it('is told again until it is taken, under the same id', async () => {
    const sender = senderFor(WEBHOOK);
    const task = await waiting();
    status = 500;
    await sender.sendDue();
    await sender.sendDue();
    expect(taken).toHaveLength(1);
    clock.advance(2_000);
    status = 200;
    await sender.sendDue();
    expect(outcomes).toEqual(['failed', 'sent']);
    expect(new Set(taken.map(({ headers }) => headers['webhook-id']))).toEqual(new Set([`${task.id}.on-call`]));
    expect(await owed(task)).toBe(0);
  });

  it('is told though the worker that took it up was killed, and by one of two that look at once', async () => {
    const sender = senderFor(WEBHOOK);
    const task = await waiting();
    // A worker takes it and is never heard of again.
    expect(await ledger.claimNotices(shardOf(task.id), clock.now(), addMs(clock.now(), 15_000), 20)).toHaveLength(1);
    await sender.sendDue();
    expect(taken).toHaveLength(0);
    clock.advance(15_001);
    const other = senderFor(WEBHOOK);
    await Promise.all([sender.sendDue(), other.sendDue()]);
    expect(taken).toHaveLength(1);
  });

  it('is told to nobody once it was decided', async () => {
    const sender = senderFor(WEBHOOK, SLACK);
    const task = await waiting();
    await ledger.endTask(task.id, 'denied', AGENT);
    await sender.sendDue();
    expect(taken).toEqual([]);
    expect(await owed(task)).toBe(0);
  });

  it('is told nothing more to whoever is gone, and that is on the record', async () => {
    const sender = senderFor(WEBHOOK);
    const task = await waiting();
    status = 410;
    await sender.sendDue();
    status = 200;
    const second = await waiting();
    await sender.sendDue();
    expect(taken).toHaveLength(1);
    expect(outcomes).toEqual(['gone']);
    expect([await owed(task), await owed(second)]).toEqual([0, 0]);
    const events = (await redis.xrange(eventsKey(shardOf(task.id)), '-', '+')).map(([, fields]) => fields[1] ?? '');
    expect(events.filter((event) => event.includes('"notice.disabled"') && event.includes('on-call'))).toHaveLength(1);
  });

  it('is told to no private address unless that is allowed, and the address is in no log', async () => {
    const sender = senderFor({ ...WEBHOOK, allow_private_addresses: false });
    const task = await waiting();
    await sender.sendDue();
    expect(taken).toEqual([]);
    expect(outcomes).toEqual(['failed']);
    expect(await owed(task)).toBe(1);
    expect(said.join('\n')).toContain('was not reached');
    expect(said.join('\n')).not.toMatch(/T0KEN|127\.0\.0\.1/);
  });

  it('needs an address and a secret that are some', async () => {
    await writeFile(join(folder, 'short'), 'whsec_AAAA');
    expect(() => senderFor({ ...WEBHOOK, secret_file: 'short' })).toThrow(/24 to 64 bytes/);
    expect(() => senderFor({ ...WEBHOOK, url_file: 'secret' })).toThrow(/holds no URL/);
  });
});
