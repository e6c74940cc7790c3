import { mkdtemp, rm } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Pool } from 'undici';
import { startBrokerProcess } from '../dev/broker-process.ts';
import { AGENT } from '../dev/dev-identities.ts';
import { freePort } from '../dev/run-server.ts';
import { startStack } from '../dev/stack.ts';
import { LATENESS_OBJECTIVE } from '../src/ledger/lateness.ts';
import { closedLoop, medianOf, percentile, type Round } from './closed-loop.ts';

/**
 * Granting while hundreds of leases fall due in one second, beside granting while none does: the same load on the same
 * broker, in turns. Everything runs on one machine, so what the target takes to revoke counts, too. Ends with an error where
 * the bound that docs/operations.md promises is exceeded.
 */

const { values: flags } = parseArgs({
  options: { rounds: { type: 'string', default: '3' }, seconds: { type: 'string', default: '4' }, leases: { type: 'string', default: '400' }, callers: { type: 'string', default: '8' } },
});
const [ROUNDS, SECONDS, LEASES, CALLERS] = [flags.rounds, flags.seconds, flags.leases, flags.callers].map(Number) as [number, number, number, number];
/** The bound: of granting beside a storm, by granting without one. */
const LEAST_RATE = 0.5;
const MOST_P99 = 2.5;
const MINTERS = 16;
/** Minted first, to see how long minting takes here; these fall due when all is over. */
const TRIAL = 64;

const say = (line: string): void => void process.stdout.write(`${line}\n`);

async function main(directory: string): Promise<void> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const stack = await startStack({ directory, port, metricsPort: await freePort(), override: { limits: { live_leases_per_agent: 10_000_000 } } });
  const broker = await startBrokerProcess({ configFile: stack.configFile, url, logFile: join(directory, 'broker.log') });
  const pool = new Pool(url, { connections: 64 });
  try {
    const token = await stack.workloads.sign({ subject: AGENT, lifetimeSeconds: 3_000 });
    const declare = async (credential: string, ttlSeconds: number): Promise<void> => {
      const body = JSON.stringify({ purpose: 'refund-investigation', actions: ['read'], ttl_seconds: ttlSeconds, credentials: [{ name: credential }] });
      const answer = await pool.request({ method: 'POST', path: '/v1/tasks', headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` }, body });
      const text = await answer.body.text();
      if (answer.statusCode !== 201) throw new Error(`declaring answered ${answer.statusCode}: ${text.slice(0, 200)}`);
    };
    /** Long enough that nothing of the load itself falls due. */
    const granting = (): Promise<Round> => closedLoop(() => declare('task-token', 300), CALLERS, SECONDS);

    /** Mints so many Vault tokens, each for as long as is asked for when its turn comes. */
    const mint = async (count: number, ttlSeconds: () => number): Promise<void> => {
      let left = count;
      const minter = async (): Promise<void> => {
        while (left > 0) {
          left -= 1;
          await declare('vault-token', ttlSeconds());
        }
      };
      await Promise.all(Array.from({ length: MINTERS }, minter));
    };
    await granting();
    const startedMs = performance.now();
    await mint(TRIAL, () => 3_000);
    // Half as long again as it took now: other work on the machine may slow it down.
    const mintingMs = ((performance.now() - startedMs) / TRIAL) * LEASES * 1.5;
    const quiet: Round[] = [];
    const stormy: Round[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      // All fall due within the second after this instant.
      const dueMs = Date.now() + mintingMs + (SECONDS + 2) * 1000;
      await mint(LEASES, () => Math.ceil((dueMs - Date.now()) / 1000));
      if (dueMs - Date.now() < SECONDS * 1000) throw new Error('minting for the storm took too long; the machine is too busy');
      quiet.push(await granting());
      await sleep(Math.max(0, dueMs - Date.now()));
      stormy.push(await granting());
      await sleep(SECONDS * 1000);
    }
    const ratioOf = (of: (round: Round) => number) => medianOf(stormy.map((round, index) => of(round) / of(quiet[index] as Round)));
    const at = (share: number) => (round: Round) => percentile(round.latenciesMs, share);
    const number = ({ median, min, max }: ReturnType<typeof medianOf>): string => `${median.toFixed(2)} (${min.toFixed(2)}-${max.toFixed(2)})`;
    say(`${cpus().length} CPUs, ${cpus()[0]?.model ?? ''}, Node ${process.version}; ${CALLERS} callers, ${ROUNDS} rounds of ${SECONDS} s; ${LEASES} Vault tokens fall due in one second`);
    for (const [name, rounds] of [['quiet', quiet], ['storm', stormy]] as const) {
      const failures = rounds.reduce((sum, round) => sum + round.failures, 0);
      say(`${name}  ${number(medianOf(rounds.map(({ perSecond }) => perSecond)))} grants/s   p50 ${number(medianOf(rounds.map(at(0.5))))} ms   p99 ${number(medianOf(rounds.map(at(0.99))))} ms   ${failures} failed`);
    }
    const [rate, p50, p99] = [ratioOf(({ perSecond }) => perSecond), ratioOf(at(0.5)), ratioOf(at(0.99))];
    say(`ratio  rate ${number(rate)}   p50 ${number(p50)}   p99 ${number(p99)}`);
    const overview = await (await fetch(`${url}/v1/overview`, { headers: { authorization: `Bearer ${await stack.operators.sign({ subject: 'bench', claims: { roles: ['mayfly-viewer'] } })}` } })).json();
    const { hour } = (overview as { lateness: { hour: { count: number; p50_seconds: number; p99_seconds: number; max_seconds: number } } }).lateness;
    say(`revoked ${hour.count} of ${LEASES * ROUNDS}: ${hour.p50_seconds} s late in the middle, p99 ${hour.p99_seconds} s, at most ${hour.max_seconds} s`);
    const bounds = [
      { bound: `rate at least ${LEAST_RATE} of that without a storm`, holds: rate.median >= LEAST_RATE },
      { bound: `p99 at most ${MOST_P99} times that without a storm`, holds: p99.median <= MOST_P99 },
      { bound: `every one dead within ${LATENESS_OBJECTIVE.seconds} s`, holds: hour.count === LEASES * ROUNDS && hour.max_seconds <= LATENESS_OBJECTIVE.seconds },
    ];
    for (const { bound, holds } of bounds) say(`${holds ? 'PASS    ' : 'EXCEEDED'}  ${bound}`);
    if (bounds.some(({ holds }) => !holds)) process.exitCode = 1;
  } finally {
    await pool.destroy();
    await broker.stop();
    await stack.stop();
  }
}

const directory = await mkdtemp(join(tmpdir(), 'mayfly-storm-'));
try {
  await main(directory);
} finally {
  await rm(directory, { recursive: true, force: true });
}
