import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Worker } from 'node:worker_threads';
import express from 'express';
import { Redis } from 'ioredis';
import { startRedis } from '../dev/redis-server.ts';
import { systemClock } from '../src/core/clock.ts';
import { leaseRoutes } from '../src/http/routes/leases.ts';
import { OPERATOR_ROLES } from '../src/identity/caller.ts';
import { AGENT, draftTask, mintedLease, testLedger } from '../test/support/ledger-fixture.ts';

/** What one page holds at most, and how many leases are read in all. */
const PAGE = 5_000;
const LEASES = Number(process.argv[2] ?? 50_000);
const IN_A_TASK = 16;
const AT_ONCE = 50;

/** Reads every live lease by the HTTP interface in the largest pages, and tells for how long nothing else could run meanwhile. */
const directory = await mkdtemp(join(tmpdir(), 'mayfly-bench-'));
const server = await startRedis({ directory });
const redis = new Redis(server.url, { enableAutoPipelining: true });
const { ledger } = testLedger(redis, systemClock);

async function fill(): Promise<void> {
  for (let made = 0; made < LEASES; made += IN_A_TASK * AT_ONCE) {
    await Promise.all(
      Array.from({ length: Math.min(AT_ONCE, Math.ceil((LEASES - made) / IN_A_TASK)) }, async (_, index) => {
        const { envelope, intents } = draftTask(systemClock, { agent: { issuer: AGENT.issuer, subject: `agent:${index}` }, credentials: Array.from({ length: IN_A_TASK }, () => 'orders-db'), ttlSeconds: 3_600 });
        await ledger.declareTask(envelope, intents, AGENT, {});
        await ledger.activate(envelope.id, intents.map(mintedLease), AGENT);
      }),
    );
  }
}

const refused = (): never => {
  throw new Error('only lists are read here');
};
const operator = { kind: 'operator', issuer: 'bench', subject: 'bench', role: OPERATOR_ROLES[0], tokenExpiresAtMs: systemClock.now() } as const;
const app = express();
app.use(
  leaseRoutes({
    authenticator: { authenticate: () => Promise.resolve(operator), recheck: refused },
    ledger,
    agents: { describe: () => Promise.resolve(() => ({ owner: 'team', reviewOverdue: false, disabled: false })), agentsOf: refused },
    clock: systemClock,
    nudge: refused,
    deploymentId: 'bench',
    receiptKeys: undefined,
  }),
);
const http = createServer(app).listen(0, '127.0.0.1');
await once(http, 'listening');
const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}/v1/leases?live=true&limit=${PAGE}`;

interface Read {
  readonly leases: number;
  readonly pages: number;
  readonly longestPageMs: number;
}

/** The reader has a thread of its own: what it does with a page does not count against the broker. */
async function readElsewhere(): Promise<Read> {
  const [read] = (await once(new Worker(new URL('./read-pages.ts', import.meta.url), { workerData: url }), 'message')) as [Read];
  return read;
}

try {
  await fill();
  await readElsewhere();
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const startedMs = performance.now();
  const read = await readElsewhere();
  const tookMs = performance.now() - startedMs;
  delay.disable();
  process.stdout.write(`${read.leases} leases in ${read.pages} pages: ${(tookMs / 1000).toFixed(1)} s, the longest page ${Math.round(read.longestPageMs)} ms\n`);
  process.stdout.write(`event loop: p50 ${(delay.percentile(50) / 1e6).toFixed(1)} ms, p99 ${(delay.percentile(99) / 1e6).toFixed(1)} ms, longest ${(delay.max / 1e6).toFixed(1)} ms\n`);
} finally {
  http.close();
  redis.disconnect();
  await server.stop();
  await rm(directory, { recursive: true, force: true });
}
