import { existsSync } from 'node:fs';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startBrokerProcess, type BrokerProcess } from './broker-process.ts';
import { devJson } from './dev-json.ts';
import { endProcesses, isAlive, markOf, readProcesses, writeProcesses } from './process-record.ts';
import { freePort, isFree } from './run-server.ts';
import { startStack, type Stack } from './stack.ts';

/** The development stack under `npm start`: starts everything, keeps the broker alive, and takes everything with it when it ends. */

const REPOSITORY = dirname(import.meta.dirname);
const HOME = join(REPOSITORY, '.mayfly');
const RUN = join(HOME, 'run');
/** The processes of this stack, ourselves first; outside RUN, for it must outlive the data. */
const PROCESSES = join(HOME, 'processes.json');
/** There while a stack stops. */
const STOPPING = join(HOME, 'stopping');
const DEV_JSON = join(HOME, 'dev.json');
/** The documented ports; a random one where one is taken. */
const PORT = 8_120;
const METRICS_PORT = 9_120;
/** Waits before a broker that died is started again; longer each time it dies soon. */
const RESTART_MS = [100, 500, 2_000, 5_000];
/** A broker that lived this long did not die of its start. */
const SETTLED_MS = 30_000;
/** The broker may finish what is in flight this long; then it is killed, so that the servers end in time too. */
const BROKER_STOP_MS = 6_000;
/** All must have ended by then. */
const STOP_LIMIT_MS = 9_500;

const say = (line: string): void => void process.stdout.write(`${line}\n`);

let stopping = false;
let stack: Promise<Stack> | undefined;
let broker: Promise<BrokerProcess> | undefined;

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void stop(signal));
process.on('uncaughtException', (error) => void fail(error));
// A terminal that went away must not kill us in the middle of stopping.
process.stdout.on('error', () => undefined);
process.stderr.on('error', () => undefined);

await main().catch(fail);

async function main(): Promise<void> {
  await replacePredecessor();
  await rm(RUN, { recursive: true, force: true });
  await rm(DEV_JSON, { force: true });
  await mkdir(RUN, { recursive: true, mode: 0o700 });
  await record([]);

  const port = (await isFree(PORT)) ? PORT : await freePort();
  const metricsPort = (await isFree(METRICS_PORT)) ? METRICS_PORT : await freePort();
  const url = `http://127.0.0.1:${port}`;
  for (const part of (process.env['MAYFLY_DEV_MISSING'] ?? '').split('\n').filter((line) => line !== '')) say(`  missing: ${part}`);
  stack = startStack({
    directory: RUN,
    port,
    metricsPort,
    aws: true,
    onPart: (part, { ok, seconds, why }) => say(ok ? `  ${part}: up (${seconds.toFixed(1)} s)` : `  ${part} could not be had: ${why ?? ''}`),
  });
  const started = await stack;
  const servers = { redis: started.redis.pid, postgres: started.postgres?.pid, openbao: started.openbao?.pid, aws: started.aws?.pid };
  await record(Object.entries(servers));
  watchServer('Redis', started.redis.exited);
  if (started.postgres !== null) watchServer('PostgreSQL', started.postgres.exited);
  if (started.openbao !== null) watchServer('OpenBao', started.openbao.exited);
  if (started.aws !== null) watchServer('The AWS emulator', started.aws.exited);

  const logFile = join(RUN, 'broker.log');
  const start = (): Promise<BrokerProcess> => startBrokerProcess({ configFile: started.configFile, url, logFile });
  const describe = async (pid: number): Promise<void> => {
    await record([...Object.entries(servers), ['broker', pid]]);
    await writeDevJson(started, { url, metricsUrl: `http://127.0.0.1:${metricsPort}/metrics`, pid, logFile });
  };
  if (isStopping()) return;
  broker = start();
  await describe((await broker).pid);
  announce(started, url);
  await keepAlive(start, describe);
}

/** Starts the broker again whenever it dies, on the same URL, until the stack stops. */
async function keepAlive(start: () => Promise<BrokerProcess>, describe: (pid: number) => Promise<void>): Promise<void> {
  let quickDeaths = 0;
  let running = await broker;
  while (!isStopping()) {
    const startedMs = performance.now();
    await running?.exited;
    if (isStopping()) return;
    quickDeaths = performance.now() - startedMs > SETTLED_MS ? 0 : quickDeaths + 1;
    const waitMs = RESTART_MS[Math.min(quickDeaths, RESTART_MS.length) - 1] ?? RESTART_MS[0] ?? 0;
    say(`the broker died; starting it again${quickDeaths > 2 ? `; ${quickDeaths} times in a row now: see ${join(RUN, 'broker.log')}` : ''}`);
    await sleep(waitMs);
    if (isStopping()) return;
    try {
      broker = start();
      running = await broker;
      await describe(running.pid);
      say('the broker is back');
    } catch (error) {
      say(error instanceof Error ? error.message : String(error));
    }
  }
}

// A function, so that the compiler does not take an earlier look for the last word.
function isStopping(): boolean {
  return stopping;
}

async function fail(error: unknown): Promise<void> {
  if (!isStopping()) say(`the stack cannot run: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
  await stop('failure');
}

/** Stops everything, also what is only starting. A second Ctrl-C does not wait: what is left dies with this process. */
async function stop(why: string): Promise<void> {
  if (stopping) {
    if (why === 'SIGINT') process.exit(130);
    return;
  }
  stopping = true;
  setTimeout(() => process.exit(1), STOP_LIMIT_MS).unref();
  if (why !== 'failure') say(`\nstopping (${why}): the broker first, then the servers`);
  await writeFile(STOPPING, '');
  await rm(DEV_JSON, { force: true });
  await stopBroker(await broker?.catch(() => undefined));
  await (await stack?.catch(() => undefined))?.stop();
  await Promise.all([RUN, DEV_JSON, PROCESSES, STOPPING].map((path) => rm(path, { recursive: true, force: true })));
  say('stopped; its data is gone');
  process.exit(process.exitCode ?? 0);
}

async function stopBroker(running: BrokerProcess | undefined): Promise<void> {
  if (running === undefined) return;
  const tooLong = setTimeout(() => void running.kill(), BROKER_STOP_MS);
  await running.stop();
  clearTimeout(tooLong);
}

/** A live stack is left alone; one that is stopping is waited for; what a killed one left behind is ended. */
async function replacePredecessor(): Promise<void> {
  const [predecessor] = readProcesses(PROCESSES);
  if (predecessor !== undefined && isAlive(predecessor)) {
    // Its launcher may have been killed a moment ago: it is about to hear of it.
    const deadline = performance.now() + 1_000;
    while (isAlive(predecessor) && !existsSync(STOPPING) && performance.now() < deadline) await sleep(50);
    if (isAlive(predecessor) && !existsSync(STOPPING)) {
      say(`a stack of this folder is already running (pid ${predecessor.pid}); stop it first, or use it: see ${DEV_JSON}`);
      process.exit(1);
    }
    say('waiting for the stack before this one to stop');
  }
  await endProcesses(PROCESSES, STOP_LIMIT_MS);
  await rm(STOPPING, { force: true });
}

/** Notes this process and its servers for a start after a killed one. */
async function record(servers: readonly (readonly [string, number | undefined])[]): Promise<void> {
  const named: readonly (readonly [string, number | undefined])[] = [['supervisor', process.pid], ...servers];
  await writeProcesses(PROCESSES, named.flatMap(([name, pid]) => (pid === undefined ? [] : (markOf(name, pid) ?? []))));
}

function watchServer(name: string, exited: Promise<unknown>): void {
  void exited.then(() => {
    if (!isStopping()) say(`${name} has died. What leans on it fails until the stack is started again (Ctrl-C, npm start).`);
  });
}

async function writeDevJson(running: Stack, parts: { url: string; metricsUrl: string; pid: number; logFile: string }): Promise<void> {
  if (isStopping()) return;
  await writeFile(`${DEV_JSON}.new`, `${JSON.stringify(devJson(running, parts), null, 2)}\n`, { mode: 0o600 });
  await rename(`${DEV_JSON}.new`, DEV_JSON);
}

function announce(running: Stack, url: string): void {
  const { postgres, openbao, aws } = running;
  say('');
  say(`Mayfly answers at        ${url}`);
  say(`  its dashboard          ${url}/ in a browser; sign in as olga, an operator, without a password`);
  say(`  its log                ${join(RUN, 'broker.log')}`);
  say(`  its audit file         ${running.auditFile}`);
  say(`  its configuration      ${running.configFile}`);
  if (openbao !== null) say(`OpenBao                  ${openbao.address}`);
  if (postgres !== null) say(`PostgreSQL               ${postgres.host}:${postgres.port}, database ${postgres.database}`);
  if (aws !== null) say(`AWS (ministack)          ${aws.endpoint}, bucket ${aws.bucket}`);
  say(`All of it, and tokens    ${DEV_JSON}`);
  say('');
  say('Try:');
  say('  npx mayfly request --purpose refund-investigation --action read --credential orders-db');
  say('');
  say('Ctrl-C stops it all and throws its data away.');
}
