import { generateKeyPairSync, randomUUID, type KeyObject } from 'node:crypto';
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { exportJWK, SignJWT } from 'jose';
import { Pool } from 'undici';
import { startBrokerProcess } from '../dev/broker-process.ts';
import { AGENT } from '../dev/dev-identities.ts';
import { freePort } from '../dev/run-server.ts';
import { AGENT_ID } from '../dev/spiffe-domain.ts';
import { startStack } from '../dev/stack.ts';
import { loadPolicies } from '../src/policy/load-policies.ts';
import { percentile } from './closed-loop.ts';

/**
 * Whole tasks at a steady rate, while the keys of the issuer, the bundle of the trust domain and the policies are changed
 * again and again under them. Counts what must be nought: permits that were wrong, and denials without need.
 */

const { values: flags } = parseArgs({ options: { seconds: { type: 'string', default: '90' }, rate: { type: 'string', default: '50' } } });
const SECONDS = Number(flags.seconds);
const RATE = Number(flags.rate);
const POLICIES_EVERY_MS = 5_000;
/** A broker looks at its folder, and at a bundle, once a second: after this, what is gone must have no effect. */
const IN_FORCE_AFTER_MS = 2_500;
/** An unknown key makes a broker ask its issuer at most every 30 s: keys are changed a little slower. */
const ISSUER_EVERY_MS = 33_000;
const SVID_EVERY_MS = 4_000;

const say = (line: string): void => void process.stdout.write(`${line}\n`);

/** Permits the agents of both kinds; the second set permits a stranger, too, the last forbids one of the two purposes. */
const BASE = `@id("bench") permit (principal, action, resource) when { ["${AGENT}", "${AGENT_ID}"].contains(principal.subject) };`;
const SETS = [BASE, `${BASE}\n@id("more") permit (principal, action, resource) when { principal.subject == "agent:nobody" };`, `${BASE}\n@id("closed") forbid (principal, action, resource) when { context.purpose == Mayfly::Purpose::"support-triage" };`] as const;
const CLOSED = 2;

const counts = { permits: 0, rightDenials: 0, wrongPermits: 0, needlessDenials: 0, refusedOldKeys: 0, errors: 0 };
const rotations = { issuer: 0, bundle: 0, policies: 0 };
const latenciesMs: number[] = [];
const faults = new Map<string, number>();
const note = (what: string): void => void faults.set(what, (faults.get(what) ?? 0) + 1);

interface SvidKey {
  readonly kid: string;
  readonly privateKey: KeyObject;
  readonly jwk: object;
}

async function newSvidKey(): Promise<SvidKey> {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const kid = randomUUID();
  return { kid, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, use: 'jwt-svid' } };
}

const svid = ({ kid, privateKey }: SvidKey, audience: string): Promise<string> =>
  new SignJWT({ jti: randomUUID() }).setProtectedHeader({ alg: 'ES256', kid }).setSubject(AGENT_ID).setAudience(audience).setIssuedAt().setExpirationTime('5m').sign(privateKey);

async function main(directory: string): Promise<number> {
  const policies = join(directory, 'policies');
  await cp(join(import.meta.dirname, '../config/policies/schema.cedarschema'), join(policies, 'schema.cedarschema'));
  const put = (set: number): Promise<void> => writeFile(join(policies, 'bench.cedar'), SETS[set] ?? BASE);
  const versions: string[] = [];
  for (const set of SETS.keys()) {
    await put(set);
    versions.push(loadPolicies(policies).version);
  }
  await put(0);
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const stackFolder = join(directory, 'stack');
  await mkdir(stackFolder);
  const stack = await startStack({ directory: stackFolder, port, metricsPort: await freePort(), override: { policy: { directory: policies }, limits: { live_leases_per_agent: 1_000_000 }, retention_seconds: 60 } });
  const broker = await startBrokerProcess({ configFile: stack.configFile, url, logFile: join(directory, 'broker.log') });
  const pool = new Pool(url, { connections: 32 });
  const stop = new AbortController();
  try {
    let svidKey = await newSvidKey();
    await stack.spiffe.writeBundle([...stack.spiffe.bundleKeys, svidKey.jwk]);
    await sleep(IN_FORCE_AFTER_MS);
    let set = 0;
    let setAtMs = performance.now();

    const call = async (path: string, token: string, body: object) => {
      const { statusCode, body: answer } = await pool.request({ method: 'POST', path, headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` }, body: JSON.stringify(body) });
      return { status: statusCode, answer: (await answer.json()) as { task?: { id: string; decision: { policy_version: string } }; decision?: { policy_version: string }; code?: string; detail?: string } };
    };

    const wholeTask = async (number: number): Promise<void> => {
      const token = number % 2 === 0 ? await stack.workloads.sign({ subject: AGENT }) : await svid(svidKey, stack.workloads.audience);
      const purpose = number % 4 < 2 ? 'refund-investigation' : 'support-triage';
      const sentMs = performance.now();
      // Long after a change only that set may decide, or one that came while this was under way.
      const settled = sentMs - setAtMs > IN_FORCE_AFTER_MS ? set : undefined;
      const { status, answer } = await call('/v1/tasks', token, { purpose, actions: ['read'], ttl_seconds: 60, credentials: [{ name: 'task-reference' }] });
      latenciesMs.push(performance.now() - sentMs);
      const version = answer.task?.decision.policy_version ?? answer.decision?.policy_version;
      const inForce = versions.indexOf(version ?? '');
      const stale = inForce !== -1 && settled !== undefined && inForce !== settled && inForce !== set;
      const mayBe = !(purpose === 'support-triage' && inForce === CLOSED);
      if (status === 201 && answer.task !== undefined) {
        if (!mayBe || stale) {
          counts.wrongPermits += 1;
          note(stale ? 'a permit by a set that was gone' : 'a permit against a forbid');
        } else counts.permits += 1;
        await call(`/v1/tasks/${answer.task.id}/complete`, token, {});
      } else if (status === 403 && inForce === CLOSED && !mayBe && !stale) counts.rightDenials += 1;
      else if (status === 401 || status === 403) {
        counts.needlessDenials += 1;
        note(stale ? 'a denial by a set that was gone' : `${status} ${answer.code ?? ''}: ${answer.detail ?? ''}`);
      } else {
        counts.errors += 1;
        note(`${status} ${answer.code ?? ''}: ${answer.detail ?? ''}`);
      }
    };

    /** A key that was withdrawn must open nothing. */
    const probe = async (token: string, what: string): Promise<void> => {
      const { status } = await call('/v1/tasks', token, { purpose: 'refund-investigation', actions: ['read'], credentials: [{ name: 'task-reference' }] });
      if (status === 401) counts.refusedOldKeys += 1;
      else {
        counts.wrongPermits += 1;
        note(`${status} for a token of a withdrawn key of the ${what}`);
      }
    };

    const every = async (ms: number, work: () => Promise<void>): Promise<void> => {
      for (;;) {
        await sleep(ms, undefined, { signal: stop.signal });
        await work();
      }
    };
    const until = (loop: Promise<void>): Promise<void> =>
      loop.catch((error: unknown) => {
        if (!stop.signal.aborted) throw error;
      });

    const rotating = [
      until(
        every(POLICIES_EVERY_MS, async () => {
          set = (set + 1) % SETS.length;
          setAtMs = performance.now();
          await put(set);
          rotations.policies += 1;
        }),
      ),
      until(
        every(SVID_EVERY_MS, async () => {
          const next = await newSvidKey();
          // Published ahead of its use, and the old one withdrawn once nobody signs with it any more.
          await stack.spiffe.writeBundle([...stack.spiffe.bundleKeys, svidKey.jwk, next.jwk]);
          await sleep(IN_FORCE_AFTER_MS / 2);
          const old = svidKey;
          svidKey = next;
          await sleep(IN_FORCE_AFTER_MS / 2);
          const token = await svid(old, stack.workloads.audience);
          await stack.spiffe.writeBundle([...stack.spiffe.bundleKeys, next.jwk]);
          await sleep(IN_FORCE_AFTER_MS);
          await probe(token, 'trust domain');
          rotations.bundle += 1;
        }),
      ),
      until(
        every(ISSUER_EVERY_MS, async () => {
          await stack.workloads.rotate({ keepOld: true });
          rotations.issuer += 1;
        }),
      ),
    ];

    const running: Promise<void>[] = [];
    const startedMs = performance.now();
    for (let number = 0; number < SECONDS * RATE; number += 1) {
      const dueMs = startedMs + (number * 1000) / RATE;
      const waitMs = dueMs - performance.now();
      if (waitMs > 0) await sleep(waitMs);
      running.push(
        wholeTask(number).catch((error: unknown) => {
          counts.errors += 1;
          note(error instanceof Error ? error.message : String(error));
        }),
      );
    }
    await Promise.all(running);
    const tookSeconds = (performance.now() - startedMs) / 1000;
    stop.abort();
    await Promise.all(rotating);
    await pool.destroy();

    latenciesMs.sort((a, b) => a - b);
    say(`${(latenciesMs.length / tookSeconds).toFixed(0)} tasks/s for ${tookSeconds.toFixed(0)} s; keys of the issuer changed ${rotations.issuer} times, the bundle ${rotations.bundle}, policies ${rotations.policies}; p50 ${percentile(latenciesMs, 0.5).toFixed(1)} ms, p99 ${percentile(latenciesMs, 0.99).toFixed(1)} ms`);
    say(`${counts.permits} permits and ${counts.rightDenials} denials as policy had it, ${counts.refusedOldKeys} tokens of withdrawn keys refused`);
    say(`${counts.wrongPermits} wrong permits, ${counts.needlessDenials} needless denials, ${counts.errors} errors; Node ${process.version}`);
    for (const [what, times] of faults) say(`  ${times} x ${what}`);
    return counts.wrongPermits + counts.needlessDenials + counts.errors === 0 ? 0 : 1;
  } finally {
    stop.abort();
    await broker.stop();
    await stack.stop();
  }
}

const directory = await mkdtemp(join(tmpdir(), 'mayfly-rotation-'));
let exitCode = 1;
try {
  exitCode = await main(directory);
} catch (error) {
  say(error instanceof Error ? (error.stack ?? error.message) : String(error));
} finally {
  await rm(directory, { recursive: true, force: true });
}
process.exit(exitCode);
