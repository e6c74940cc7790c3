import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Pool } from 'undici';
import { startBrokerProcess } from '../dev/broker-process.ts';
import { AGENT } from '../dev/dev-identities.ts';
import { freePort } from '../dev/run-server.ts';
import { startStack } from '../dev/stack.ts';
import { closedLoop, medianOf, percentile } from './closed-loop.ts';

/**
 * Minutes of steady load on one broker: whole tasks, declared, extended and completed. Prints its memory as it goes, and
 * fails when a call failed, when the process died, or when the memory of the last third is not that of the second.
 */

const { values: flags } = parseArgs({ options: { minutes: { type: 'string', default: '10' }, callers: { type: 'string', default: '8' } } });
const SECONDS = Number(flags.minutes) * 60;
const SAMPLE_EVERY_MS = 5_000;
/** Beyond this, memory is not flat. */
const GROWTH_ALLOWED = 0.1;

const say = (line: string): void => void process.stdout.write(`${line}\n`);

async function residentMiB(pid: number): Promise<number> {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kib) / 1024;
}

async function main(directory: string): Promise<number> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const override = { limits: { live_leases_per_agent: 10_000_000 }, retention_seconds: 60 };
  const stack = await startStack({ directory, port, metricsPort: await freePort(), override });
  const broker = await startBrokerProcess({ configFile: stack.configFile, url, logFile: join(directory, 'broker.log') });
  const stop = new AbortController();
  try {
    const { pid } = broker;
    const pool = new Pool(url, { connections: Number(flags.callers) });
    const post = async (path: string, body: object): Promise<{ task: { id: string } }> => {
      const token = await stack.workloads.sign({ subject: AGENT });
      const answer = await pool.request({ method: 'POST', path, headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` }, body: JSON.stringify(body) });
      const text = await answer.body.text();
      if (answer.statusCode >= 300) throw new Error(`${path} answered ${answer.statusCode}: ${text.slice(0, 200)}`);
      return JSON.parse(text) as { task: { id: string } };
    };
    const wholeTask = async (): Promise<void> => {
      const credentials = [{ name: 'vault-token' }, { name: 'task-reference' }];
      const { task } = await post('/v1/tasks', { purpose: 'refund-investigation', actions: ['read'], ttl_seconds: 60, credentials });
      await post(`/v1/tasks/${task.id}/extend`, { ttl_seconds: 120 });
      await post(`/v1/tasks/${task.id}/complete`, {});
    };

    const samples: number[] = [];
    const startedMs = performance.now();
    const watch = (async () => {
      for (;;) {
        await sleep(SAMPLE_EVERY_MS, undefined, { signal: stop.signal });
        samples.push(await residentMiB(pid));
        if (samples.length % 6 === 0) say(`${((performance.now() - startedMs) / 60_000).toFixed(1).padStart(5)} min   ${samples.at(-1)?.toFixed(0) ?? ''} MiB`);
      }
    })().catch((error: unknown) => {
      if (!stop.signal.aborted) throw error;
    });
    const round = await closedLoop(wholeTask, Number(flags.callers), SECONDS);
    stop.abort();
    await watch;
    await pool.destroy();

    const third = Math.floor(samples.length / 3);
    const [second, last] = [medianOf(samples.slice(third, 2 * third)).median, medianOf(samples.slice(2 * third)).median];
    const growth = last / second - 1;
    say(`${round.latenciesMs.length} tasks, ${round.failures} failed, ${round.perSecond.toFixed(0)}/s; p50 ${percentile(round.latenciesMs, 0.5).toFixed(1)} ms, p99 ${percentile(round.latenciesMs, 0.99).toFixed(1)} ms, longest ${(round.latenciesMs.at(-1) ?? 0).toFixed(0)} ms`);
    say(`memory: median ${second.toFixed(0)} MiB in the second third, ${last.toFixed(0)} MiB in the last (${(growth * 100).toFixed(1)} %); Node ${process.version}`);
    return round.failures > 0 || growth > GROWTH_ALLOWED ? 1 : 0;
  } finally {
    stop.abort();
    await broker.stop();
    await stack.stop();
  }
}

const directory = await mkdtemp(join(tmpdir(), 'mayfly-soak-'));
let exitCode = 1;
try {
  exitCode = await main(directory);
} catch (error) {
  say(error instanceof Error ? error.message : String(error));
} finally {
  await rm(directory, { recursive: true, force: true });
}
process.exit(exitCode);
