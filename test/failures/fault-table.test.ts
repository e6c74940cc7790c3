import { readFile, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { verifyChainFile } from '../../src/audit/verify-chain.ts';
import { at } from '../support/at.ts';
import { RunningBroker } from '../support/running-broker.ts';
import { startTcpProxy, type TcpProxy, type Weather } from '../support/tcp-proxy.ts';
import { until } from '../support/until.ts';

/** Leases of what fails, and as many of what does not. */
const LEASES = 8;
/** Longer than each budget below: a request, a batch, the delays between tries, and what may pass before one is called stuck. */
const FAULT_MS = 9_000;
const LATE_MS = 4_000;
/** Of a revocation that nothing stands in the way of. */
const ON_TIME_SECONDS = 5;

const TARGETS = ['PostgreSQL', 'OpenBao', 'AWS', 'Redis'] as const;
type Target = (typeof TARGETS)[number];
const FAULTS: Readonly<Record<string, Weather>> = { cut: 'cut', hung: 'hung', slow: { lateMs: LATE_MS } };

/** What is granted from each target, and from one that has nothing to do with it. */
const CREDENTIALS: Readonly<Record<Target, readonly [affected: string, other: string | null]>> = {
  PostgreSQL: ['orders-db', 'reports-bucket'],
  OpenBao: ['vault-token', 'reports-bucket'],
  AWS: ['reports-bucket', 'vault-token'],
  Redis: ['vault-token', null],
};

/** All of them in `npm run test:faults`; in every run those that other suites of this folder do not show. */
const isWhole = process.env['MAYFLY_FAULT_KILLS'] !== undefined;
const ALWAYS = ['OpenBao cut', 'PostgreSQL slow', 'Redis cut'];
const ROWS = TARGETS.flatMap((target) => Object.keys(FAULTS).map((fault) => [target, fault] as const)).filter(([target, fault]) => isWhole || ALWAYS.includes(`${target} ${fault}`));

let broker: RunningBroker;
let network: Readonly<Record<Target, TcpProxy>>;
const table: string[] = ['| away | how, for 9 s | others ended within | its own ended within | after it was back |', '|---|---|---|---|---|'];

beforeAll(async () => {
  broker = await RunningBroker.start(
    {
      revocation: { retry_max_ms: 1_000, stuck_after_seconds: 3, claim_timeout_ms: 4_000, reconcile_interval_seconds: 2 },
      minting: { timeout_ms: 6_000 },
    },
    [],
    { aws: true },
  );
  network = await putNetworkBetween();
}, 90_000);

afterAll(async () => {
  // The numbers of docs/operations.md.
  if (isWhole) process.stdout.write(`${table.join('\n')}\n`);
  await broker.stop();
  await Promise.all(Object.values(network).map((proxy) => proxy.stop()));
}, 60_000);

/** A proxy before each server; the broker, and OpenBao for its database, are told to go through it. */
async function putNetworkBetween(): Promise<typeof network> {
  const { redis, openbao, aws, postgres } = broker.stack;
  if (openbao === null || aws === null || postgres === null) throw new Error('the stack is not whole');
  const before = (url: string): Promise<TcpProxy> => startTcpProxy({ host: new URL(url).hostname, port: Number(new URL(url).port) });
  const proxies = { PostgreSQL: await startTcpProxy(postgres), OpenBao: await before(openbao.address), AWS: await before(aws.endpoint), Redis: await before(redis.url) };
  const through = (url: string, { host, port }: TcpProxy): string => Object.assign(new URL(url), { host: `${host}:${port}` }).href.replace(/\/$/, '');

  const { username, password, database } = postgres.openbaoLogin;
  const { data } = (await broker.bao('GET', 'database/config/orders')) as { data?: Record<string, unknown> };
  const { host, port } = proxies.PostgreSQL;
  await broker.bao('POST', 'database/config/orders', {
    ...data,
    plugin_name: 'postgresql-database-plugin',
    allowed_roles: ['orders-reader'],
    connection_url: `postgresql://{{username}}:{{password}}@${host}:${port}/${database}?sslmode=disable&connect_timeout=2`,
    ...{ username, password, password_authentication: 'scram-sha-256' },
    username_template: '{{ printf "v-%s-%s" (.DisplayName | truncate 42) (random 12) }}',
  });
  const config = parse(await readFile(broker.stack.configFile, 'utf8')) as { redis: { url_file: string } };
  await writeFile(config.redis.url_file, through(redis.url, proxies.Redis));
  await broker.reconfigure(({ providers }) => {
    providers['vault-main'] = { ...providers['vault-main'], address: through(openbao.address, proxies.OpenBao), timeout_ms: 1_500 };
    providers['aws-main'] = { ...providers['aws-main'], endpoint: through(aws.endpoint, proxies.AWS), timeout_ms: 1_500 };
  });
  return proxies;
}

interface LeaseAnswer {
  readonly state: string;
  /** When its target took the revocation. */
  readonly applied_at: string | null;
}

const isOver = ({ state }: Pick<LeaseAnswer, 'state'>): boolean => ['revoked', 'lapsed'].includes(state);
/** Until the last of them was ended at its target. AWS may take a minute more to enforce that, which is not ours to hurry. */
const secondsUntilEnded = (leases: readonly LeaseAnswer[], fromMs: number): number => Math.max(...leases.map(({ applied_at: at }) => (at === null ? Infinity : (Date.parse(at) - fromMs) / 1_000)));

/** The leases as the broker tells them. Throws where it cannot. */
async function look(ids: readonly string[]): Promise<readonly LeaseAnswer[]> {
  const operator = await broker.operatorToken('viewer');
  return Promise.all(
    ids.map(async (id) => {
      const { status, body } = await broker.call('GET', `/v1/leases/${id}`, operator);
      if (status !== 200) throw new Error(`the lease cannot be looked at: ${status}`);
      return body['lease'] as LeaseAnswer;
    }),
  );
}

/** How many of the leases are alive at OpenBao or, for sessions, not denied at AWS as far as the broker could tell. */
async function liveAtTarget(credential: string, ids: readonly string[]): Promise<number> {
  if (credential === 'orders-db') {
    const logins = await broker.mintedLogins();
    return ids.filter((id) => logins.some((login) => login.includes(id.replace('_', '-')))).length;
  }
  if (credential === 'vault-token') {
    const live = await broker.liveTokens();
    return ids.filter((id) => live.includes(id)).length;
  }
  return (await look(ids)).filter((lease) => !isOver(lease)).length;
}

describe('a target that is away for longer than every budget', () => {
  it.each(ROWS)('%s %s: nothing is forgotten, nothing is called ended that lives, others are on time, and it ends without a hand', async (target, fault) => {
    const [affected, other] = CREDENTIALS[target];
    const grantAll = (credential: string) => Promise.all(Array.from({ length: LEASES }, () => broker.grant([credential], { ttlSeconds: 600 })));
    const failing = await grantAll(affected);
    const others = other === null ? [] : await grantAll(other);
    const idsOf = (grants: typeof failing): string[] => grants.map(({ credentials }) => at(credentials, 0).lease_id);

    // With Redis away nobody can say that a task is over: its time runs out instead.
    const due = target === 'Redis' ? await broker.grant([affected], { ttlSeconds: 5 }) : null;
    const watched = due === null ? idsOf(failing) : idsOf([due]);
    network[target].set(FAULTS[fault] ?? 'fair');
    const brokenMs = performance.now();
    const dueMs = due === null ? Date.now() : Date.parse(at(due.credentials, 0).expires_at);
    try {
      if (due === null) {
        await Promise.all([...failing, ...others].map((grant) => broker.complete(grant)));
        await until(async () => (await look(idsOf(others))).every(isOver), { everyMs: 200, what: 'what has nothing to do with it ends' });
        expect(secondsUntilEnded(await look(idsOf(others)), dueMs)).toBeLessThan(ON_TIME_SECONDS);
      } else {
        const refused = await broker.call('POST', '/v1/tasks', due.token, { purpose: 'refund-investigation', actions: ['read'], credentials: [{ name: affected }] });
        expect(refused.body).toMatchObject({ code: 'ledger_unavailable' });
      }
      await until(() => performance.now() - brokenMs > FAULT_MS, { timeoutMs: 2 * FAULT_MS, everyMs: 100 });
      if (due === null) {
        const states = (await look(watched)).map(({ state }) => state);
        // A slow target is reached by some tries. What is not ended is told as such, and lives (control).
        const open = watched.filter((_, index) => !isOver({ state: states[index] ?? '' }));
        if (fault !== 'slow') expect(open).toHaveLength(LEASES);
        if (target === 'PostgreSQL' && fault !== 'slow') expect(await liveAtTarget(affected, open)).toBe(open.length);
      } else {
        expect(await liveAtTarget(affected, watched)).toBe(1);
      }
    } finally {
      network[target].set('fair');
    }
    const backMs = performance.now();
    await until(async () => (await look(watched).catch(() => [])).filter(isOver).length === watched.length, { timeoutMs: 40_000, everyMs: 200, what: 'all of it ends when it is back' });
    const tookSeconds = (performance.now() - backMs) / 1_000;
    await until(async () => (await liveAtTarget(affected, watched)) === 0, { timeoutMs: 20_000, everyMs: 300, what: 'nothing lives at the target' });
    const seconds = (value: number): string => `${value.toFixed(1)} s`;
    table.push(`| ${target} | ${fault} | ${other === null ? '-' : seconds(secondsUntilEnded(await look(idsOf(others)), dueMs))} | ${seconds(secondsUntilEnded(await look(watched), dueMs))} | ${seconds(tookSeconds)} |`);
    expect((await (await fetch(`${broker.url}/readyz`)).json()) as object).not.toMatchObject({ status: 'held' });
    await Promise.all(due === null ? [] : failing.map((grant) => broker.complete(grant)));
  }, 120_000);

  it('leaves an audit log whose chain is whole', async () => {
    await broker.broker?.stop();
    expect(await verifyChainFile(broker.stack.auditFile)).toMatchObject({ ok: true });
  }, 30_000);
});
