import { existsSync, readFileSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startBrokerProcess, type BrokerProcess } from './broker-process.ts';
import { devJson } from './dev-json.ts';
import { freePort, isFree } from './run-server.ts';
import { startStack, type Stack } from './stack.ts';

/** The development stack under `npm start`: starts everything, keeps the broker alive, and takes everything with it when it ends. */

const REPOSITORY = dirname(import.meta.dirname);
const HOME = join(REPOSITORY, '.mayfly');
const RUN = join(HOME, 'run');
const PID_FILE = join(HOME, 'supervisor.pid');
const DEV_JSON = join(HOME, 'dev.json');
/** The documented ports; a random one where one is taken. */
const PORT = 8_120;
const METRICS_PORT = 9_120;
/** Waits before a broker that died is started again; longer each time it dies soon. */
const RESTART_MS = [100, 500, 2_000, 5_000];
/** A broker that lived this long did not die of its start. */
const SETTLED_MS = 30_000;
/** All must have ended by then. */
const STOP_LIMIT_MS = 9_500;

const say = (line: string): void => void process.stdout.write(`${line}\n`);

let stopping = false;
let stack: Stack | undefined;
let broker: BrokerProcess | undefined;

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void stop(signal));
// A terminal that went away must not kill us in the middle of stopping.
process.stdout.on('error', () => undefined);
process.stderr.on('error', () => undefined);

await main().catch(async (error: unknown) => {
  say(`the stack did not start: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
  await stop('failure');
});

async function main(): Promise<void> {
  refuseSecondStart();
  await rm(RUN, { recursive: true, force: true });
  await rm(DEV_JSON, { force: true });
  await mkdir(RUN, { recursive: true, mode: 0o700 });
  await writeFile(PID_FILE, `${process.pid} ${startTimeOf(process.pid) ?? ''}`);

  const port = (await isFree(PORT)) ? PORT : await freePort();
  const metricsPort = (await isFree(METRICS_PORT)) ? METRICS_PORT : await freePort();
  const url = `http://127.0.0.1:${port}`;
  for (const part of (process.env['MAYFLY_DEV_MISSING'] ?? '').split('\n').filter((line) => line !== '')) say(`  missing: ${part}`);
  const started = await startStack({
    directory: RUN,
    port,
    metricsPort,
    onPart: (part, { ok, seconds, why }) => say(ok ? `  ${part} is up (${seconds.toFixed(1)} s)` : `  ${part} could not be had: ${why ?? ''}`),
  });
  stack = started;
  watchServer('Redis', started.redis.exited);
  if (started.postgres !== null) watchServer('PostgreSQL', started.postgres.exited);
  if (started.openbao !== null) watchServer('OpenBao', started.openbao.exited);

  const logFile = join(RUN, 'broker.log');
  const start = (): Promise<BrokerProcess> => startBrokerProcess({ configFile: started.configFile, url, logFile });
  broker = await start();
  const describe = (pid: number): Promise<void> => writeDevJson(started, { url, metricsUrl: `http://127.0.0.1:${metricsPort}/metrics`, pid, logFile });
  await describe(broker.pid);
  announce(started, url);
  await keepAlive(start, describe);
}

/** Starts the broker again whenever it dies, on the same URL, until the stack stops. */
async function keepAlive(start: () => Promise<BrokerProcess>, describe: (pid: number) => Promise<void>): Promise<void> {
  let quickDeaths = 0;
  while (!isStopping() && broker !== undefined) {
    const startedMs = performance.now();
    await broker.exited;
    if (isStopping()) return;
    quickDeaths = performance.now() - startedMs > SETTLED_MS ? 0 : quickDeaths + 1;
    const waitMs = RESTART_MS[Math.min(quickDeaths, RESTART_MS.length) - 1] ?? RESTART_MS[0] ?? 0;
    say(`the broker died; starting it again${quickDeaths > 2 ? `, for the ${quickDeaths}th time in a row: see its log` : ''}`);
    await sleep(waitMs);
    if (isStopping()) return;
    try {
      broker = await start();
      await describe(broker.pid);
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

async function stop(why: string): Promise<void> {
  if (stopping) {
    if (why === 'SIGINT') process.exit(130);
    return;
  }
  stopping = true;
  setTimeout(() => process.exit(1), STOP_LIMIT_MS).unref();
  if (why !== 'failure') say(`\nstopping (${why}): the broker first, then the servers`);
  await rm(DEV_JSON, { force: true });
  await broker?.stop();
  await stack?.stop();
  await rm(RUN, { recursive: true, force: true });
  await rm(PID_FILE, { force: true });
  say('stopped; its data is gone');
  process.exit(process.exitCode ?? 0);
}

/** A live stack is left alone; what a killed one left behind is cleaned up by starting. */
function refuseSecondStart(): void {
  if (!existsSync(PID_FILE)) return;
  const [pid = '', startTime = ''] = readFileSync(PID_FILE, 'utf8').split(' ');
  // The start time tells our supervisor from a stranger that was given its pid.
  if (pid === '' || startTime === '' || startTimeOf(Number(pid)) !== startTime) return;
  say(`a stack of this folder is already running (pid ${pid}); stop it first, or use it: see .mayfly/dev.json`);
  process.exit(1);
}

/** When a process started, in clock ticks since boot (field 22 of /proc/<pid>/stat); undefined when there is none. */
function startTimeOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}

function watchServer(name: string, exited: Promise<unknown>): void {
  void exited.then(() => {
    if (!isStopping()) say(`${name} has died. What leans on it fails until the stack is started again (Ctrl-C, npm start).`);
  });
}

async function writeDevJson(running: Stack, parts: { url: string; metricsUrl: string; pid: number; logFile: string }): Promise<void> {
  if (!isStopping()) await writeFile(DEV_JSON, `${JSON.stringify(devJson(running, parts), null, 2)}\n`, { mode: 0o600 });
}

function announce(running: Stack, url: string): void {
  const { postgres, openbao } = running;
  say('');
  say(`Mayfly answers at        ${url}`);
  say(`  its log                ${join(RUN, 'broker.log')}`);
  say(`  its audit file         ${running.auditFile}`);
  say(`  its configuration      ${running.configFile}`);
  if (openbao !== null) say(`OpenBao                  ${openbao.address}`);
  if (postgres !== null) say(`PostgreSQL               ${postgres.host}:${postgres.port}, database ${postgres.database}`);
  say(`Everything, for programs ${DEV_JSON}`);
  say('');
  say('Try:');
  say('  npx mayfly request --purpose refund-investigation --action read --credential orders-db');
  say('');
  say('Ctrl-C stops it all and throws its data away.');
}
