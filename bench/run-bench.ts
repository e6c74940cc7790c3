import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Pool } from 'undici';
import { startBrokerProcess } from '../dev/broker-process.ts';
import { AGENT } from '../dev/dev-identities.ts';
import { freePort } from '../dev/run-server.ts';
import { rootClient } from '../dev/seed-openbao.ts';
import { startStack, type Stack } from '../dev/stack.ts';
import { closedLoop, medianOf, percentile, type Round } from './closed-loop.ts';
import { busyShares } from './cpu-profile.ts';

/**
 * Grants beside OpenBao's own, in turns within one run, so that a noisy machine is noisy for both. Read the ratios.
 * The load comes from this process, on the same machine as the servers.
 */

const { values: flags } = parseArgs({
  options: { rounds: { type: 'string', default: '5' }, seconds: { type: 'string', default: '2' }, json: { type: 'boolean', default: false } },
});
const ROUNDS = Number(flags.rounds);
const SECONDS = Number(flags.seconds);
const CALLERS = [1, 16, 64];
const DATABASE_CALLERS = [1, 4, 16];

interface Contender {
  readonly name: string;
  readonly call: () => Promise<void>;
}

interface Measured {
  readonly scenario: string;
  readonly callers: number;
  readonly ours: Summary;
  readonly theirs: Summary;
  /** Ours divided by theirs, round by round. */
  readonly rateRatio: ReturnType<typeof medianOf>;
  readonly p50Ratio: ReturnType<typeof medianOf>;
}

interface Summary {
  readonly name: string;
  readonly perSecond: ReturnType<typeof medianOf>;
  readonly p50Ms: ReturnType<typeof medianOf>;
  readonly p99Ms: ReturnType<typeof medianOf>;
  readonly failures: number;
}

const say = (line: string): void => void process.stderr.write(`${line}\n`);

async function main(directory: string): Promise<number> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const limits = { live_leases_per_agent: 10_000_000 };
  const stack = await startStack({ directory, port, metricsPort: await freePort(), override: { limits } });
  const profiles = join(directory, 'profiles');
  await mkdir(profiles);
  const start = (nodeOptions: readonly string[] = []) =>
    startBrokerProcess({ configFile: stack.configFile, url, logFile: join(directory, 'broker.log'), nodeOptions });
  let broker = await start();
  try {
    if (stack.openbao === null) throw new Error('the bench needs OpenBao');
    await allowJwtLogin(stack);
    const token = await stack.workloads.sign({ subject: AGENT, lifetimeSeconds: 3_000 });
    const operator = await stack.operators.sign({ subject: 'bench', claims: { roles: ['mayfly-operator'] }, lifetimeSeconds: 3_000 });
    const mayfly = new Pool(url, { connections: 64 });
    const bao = new Pool(stack.openbao.address, { connections: 64 });
    const rootToken = stack.openbao.rootToken;

    const measured: Measured[] = [];
    for (const callers of CALLERS) {
      measured.push(
        await compare('token grant', callers, { name: 'Mayfly', call: () => declare(mayfly, token, 'task-token') }, { name: 'OpenBao JWT login', call: () => jwtLogin(bao, token) }),
      );
    }
    if (stack.postgres !== null) {
      for (const callers of DATABASE_CALLERS) {
        measured.push(
          await compare('database credential', callers, { name: 'Mayfly', call: () => declare(mayfly, token, 'orders-db') }, { name: 'OpenBao direct', call: () => databaseLogin(bao, rootToken) }),
        );
        await revokeAll(mayfly, operator);
      }
    }

    say('profile of a grant: 16 callers');
    await broker.stop();
    broker = await start(['--cpu-prof', '--cpu-prof-dir', profiles]);
    await closedLoop(() => declare(mayfly, token, 'task-token'), 16, Math.max(3, SECONDS));
    await broker.stop();
    const shares = await busyShares(profiles);
    await Promise.all([mayfly.destroy(), bao.destroy()]);
    if (flags.json) process.stdout.write(`${JSON.stringify({ machine: machine(), measured, profile: shares }, null, 2)}\n`);
    else report(measured, shares);
    return measured.some(({ ours, theirs }) => ours.failures + theirs.failures > 0) ? 1 : 0;
  } finally {
    await broker.stop();
    await stack.stop();
  }
}

/** Both in turn, round by round, who goes first changing; one round beforehand to warm up, not counted. */
async function compare(scenario: string, callers: number, ours: Contender, theirs: Contender): Promise<Measured> {
  say(`${scenario}: ${callers} callers, ${ROUNDS} rounds of ${SECONDS} s each`);
  for (const contender of [ours, theirs]) await closedLoop(contender.call, callers, SECONDS / 2);
  const rounds: { ours: Round; theirs: Round }[] = [];
  for (let i = 0; i < ROUNDS; i += 1) {
    const first = i % 2 === 0 ? ours : theirs;
    const a = await closedLoop(first.call, callers, SECONDS);
    const b = await closedLoop((first === ours ? theirs : ours).call, callers, SECONDS);
    rounds.push(first === ours ? { ours: a, theirs: b } : { ours: b, theirs: a });
  }
  return {
    scenario,
    callers,
    ours: summary(ours.name, rounds.map((round) => round.ours)),
    theirs: summary(theirs.name, rounds.map((round) => round.theirs)),
    rateRatio: medianOf(rounds.map((round) => round.ours.perSecond / round.theirs.perSecond)),
    p50Ratio: medianOf(rounds.map((round) => percentile(round.ours.latenciesMs, 0.5) / percentile(round.theirs.latenciesMs, 0.5))),
  };
}

const summary = (name: string, rounds: readonly Round[]): Summary => ({
  name,
  perSecond: medianOf(rounds.map((round) => round.perSecond)),
  p50Ms: medianOf(rounds.map((round) => percentile(round.latenciesMs, 0.5))),
  p99Ms: medianOf(rounds.map((round) => percentile(round.latenciesMs, 0.99))),
  failures: rounds.reduce((sum, round) => sum + round.failures, 0),
});

async function send(pool: Pool, expected: number, options: { method: 'GET' | 'POST'; path: string; headers: Record<string, string>; body?: string }): Promise<unknown> {
  const response = await pool.request(options);
  const text = await response.body.text();
  if (response.statusCode !== expected) throw new Error(`${options.path} answered ${response.statusCode}: ${text.slice(0, 200)}`);
  return JSON.parse(text);
}

const JSON_TYPE = { 'content-type': 'application/json' };

async function declare(pool: Pool, token: string, credential: string): Promise<void> {
  const declaration = { purpose: 'refund-investigation', actions: ['read'], ttl_seconds: 300, credentials: [{ name: credential }] };
  await send(pool, 201, { method: 'POST', path: '/v1/tasks', headers: { ...JSON_TYPE, authorization: `Bearer ${token}` }, body: JSON.stringify(declaration) });
}

async function jwtLogin(pool: Pool, token: string): Promise<void> {
  await send(pool, 200, { method: 'POST', path: '/v1/auth/jwt/login', headers: JSON_TYPE, body: JSON.stringify({ role: 'bench', jwt: token }) });
}

/** What Mayfly asks of OpenBao for one database credential, without Mayfly: a token for it alone, then the login. */
async function databaseLogin(pool: Pool, rootToken: string): Promise<void> {
  const headers = { ...JSON_TYPE, 'x-vault-token': rootToken };
  const created = (await send(pool, 200, { method: 'POST', path: '/v1/auth/token/create/mayfly-orders-db', headers, body: '{"ttl":"305s"}' })) as { auth: { client_token: string } };
  await send(pool, 200, { method: 'GET', path: '/v1/database/creds/orders-reader', headers: { 'x-vault-token': created.auth.client_token } });
}

async function allowJwtLogin(stack: Stack): Promise<void> {
  if (stack.openbao === null) return;
  const bao = rootClient(stack.openbao);
  await bao('POST', 'sys/auth/jwt', { type: 'jwt' });
  await bao('POST', 'auth/jwt/config', { oidc_discovery_url: stack.workloads.issuer });
  await bao('POST', 'auth/jwt/role/bench', { role_type: 'jwt', bound_audiences: [stack.workloads.audience], user_claim: 'sub', token_ttl: 300, token_policies: ['default'] });
}

/** Ends what a round left behind, so that the next starts level. */
async function revokeAll(pool: Pool, operator: string): Promise<void> {
  const headers = { ...JSON_TYPE, authorization: `Bearer ${operator}` };
  const body = JSON.stringify({ selector: { credential: 'orders-db' }, reason: 'bench' });
  const { revocation } = (await send(pool, 202, { method: 'POST', path: '/v1/revocations', headers, body })) as { revocation: { id: string } };
  for (;;) {
    const { revocation: now } = (await send(pool, 200, { method: 'GET', path: `/v1/revocations/${revocation.id}`, headers })) as { revocation: { state: string } };
    if (now.state === 'done') return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

const machine = (): string => `${cpus().length} CPUs, ${cpus()[0]?.model ?? ''}, Node ${process.version}`;

function report(measured: readonly Measured[], shares: readonly { part: string; share: number }[]): void {
  const number = (value: number): string => (value >= 100 ? value.toFixed(0) : value.toFixed(2));
  const spread = ({ median, min, max }: ReturnType<typeof medianOf>): string => `${number(median)} (${number(min)}-${number(max)})`;
  const lines = [`${machine()}; median (lowest-highest) of ${ROUNDS} rounds of ${SECONDS} s, in turns`, ''];
  for (const { scenario, callers, ours, theirs, rateRatio, p50Ratio } of measured) {
    lines.push(`${scenario}, ${callers} ${callers === 1 ? 'caller' : 'callers'}`);
    for (const one of [ours, theirs]) {
      lines.push(`  ${one.name.padEnd(18)} ${spread(one.perSecond).padEnd(22)}/s   p50 ${spread(one.p50Ms).padEnd(20)} ms   p99 ${spread(one.p99Ms).padEnd(20)} ms${one.failures > 0 ? `   ${one.failures} failed` : ''}`);
    }
    lines.push(`  ratio              ${spread(rateRatio).padEnd(22)} rate p50 ${spread(p50Ratio)}`, '');
  }
  lines.push('where the broker spends its busy time in a grant (jwt, 16 callers)');
  for (const { part, share } of shares.filter((one) => one.share >= 0.01)) lines.push(`  ${(share * 100).toFixed(1).padStart(5)} %  ${part}`);
  process.stdout.write(`${lines.join('\n')}\n`);
}

const directory = await mkdtemp(join(tmpdir(), 'mayfly-bench-'));
let exitCode = 1;
try {
  exitCode = await main(directory);
} catch (error) {
  say(error instanceof Error ? error.message : String(error));
} finally {
  await rm(directory, { recursive: true, force: true });
}
process.exit(exitCode);
