import { describe, expect, it } from '@jest/globals';
import type { Redis } from 'ioredis';
import { createAgentRegister, isOverdue, type AgentRegister } from '../../src/agents/agent-register.ts';
import { changeAgent, disableAgent, enableAgent, registerAgent, type ChangeAgentsDeps } from '../../src/agents/change-agents.ts';
import { eventsKey } from '../../src/audit/event-stream-keys.ts';
import type { ConfiguredAgent } from '../../src/config/config-schema.ts';
import { SHARDS, shardOf } from '../../src/core/ids.ts';
import { epochMsFrom } from '../../src/core/time.ts';
import { agentIdOf, agentIndexId } from '../../src/ledger/agent-record.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { createRecordSeal, TamperedRecord } from '../../src/ledger/record-seal.ts';
import { agentIndexKey, agentKey, locksKey } from '../../src/ledger/redis-keys.ts';
import { UNREGISTERED } from '../../src/policy/decision.ts';
import { RevocationJobs } from '../../src/revocation/revocation-jobs.ts';
import { AGENT, draftTask, mintedLease, RECORD_KEY, testLedger } from '../support/ledger-fixture.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { useRedis } from '../support/use-redis.ts';

const ADMIN = { issuer: 'https://operators.test', subject: 'ada' };
const OTHER = { issuer: 'https://other.test', subject: AGENT.subject };
const ORCHESTRATOR = { issuer: AGENT.issuer, subject: 'orchestrator:support-desk' };
const BODY = { issuer: AGENT.issuer, subject: AGENT.subject, owner: 'team-refunds', purposes: ['refund-investigation'], review_by: '2999-12-31' };
const CONFIGURED: ConfiguredAgent = { subject: 'spiffe://example.org/agent/batch', owner: 'team-ledger', purposes: ['ledger-close'], environments: [], review_by: '2020-01-31' };
const BATCH = { issuer: 'spiffe://example.org', subject: CONFIGURED.subject };
const ID = agentIdOf(AGENT);

let redis: Redis;
let clock: ManualClock;
let ledger: Ledger;
let tampered: TamperedRecord[];
let register: AgentRegister;
let deps: ChangeAgentsDeps;

/** The register as another process has it, which has seen nothing yet. */
const anotherProcess = () => createAgentRegister({ ledger: testLedger(redis, clock).ledger, configured: [CONFIGURED], clock });

useRedis((connection) => {
  redis = connection;
  clock = new ManualClock(Date.now());
  ({ ledger, tampered } = testLedger(redis, clock));
  register = createAgentRegister({ ledger, configured: [CONFIGURED], clock });
  const jobs = new RevocationJobs({ ledger, clock, leasesPerSecond: 1_000, nudge: () => undefined, log: { warn: () => undefined, error: () => undefined } as never });
  deps = {
    ledger,
    register,
    revocation: { jobs, clock },
    issuers: new Set([AGENT.issuer, OTHER.issuer, BATCH.issuer]),
    policy: { vocabulary: { purposes: new Set(['refund-investigation', 'data-export', 'ledger-close']) } },
    most: 3,
  };
});

const declare = (agent = AGENT, more: object = {}) => {
  const { envelope, intents } = draftTask(clock, { agent });
  return ledger.declareTask({ ...envelope, ...more }, intents, agent, {});
};

async function events(): Promise<{ type: string; by: unknown; agent: unknown; facts: Record<string, unknown> }[]> {
  const streams = await Promise.all(SHARDS.map((one) => redis.xrange(eventsKey(one), '-', '+')));
  return streams.flat().map(([, fields]) => JSON.parse(fields[1] ?? '') as Awaited<ReturnType<typeof events>>[number]);
}

describe('a registration', () => {
  it('is what policy is told, and is on the record', async () => {
    expect(await register.standingOf(AGENT)).toEqual({ facts: UNREGISTERED, disabled: false });
    const { id } = await registerAgent({ ...BODY, environments: ['development'], description: 'pays back' }, ADMIN, deps);
    expect(id).toBe(ID);
    expect(await register.standingOf(AGENT)).toEqual({ facts: { registered: true, owner: 'team-refunds', purposes: ['refund-investigation'], environments: ['development'], reviewOverdue: false }, disabled: false });
    expect(await register.standingOf(OTHER)).toEqual({ facts: UNREGISTERED, disabled: false });
    expect(await events()).toContainEqual(expect.objectContaining({ type: 'agent.registered', by: ADMIN, agent: AGENT, facts: expect.objectContaining({ agent_id: ID, owner: 'team-refunds' }) as unknown }));
  });

  it.each<[string, object, string]>([
    ['an issuer nobody configured', { issuer: 'https://nobody.test' }, '/issuer'],
    ['no issuer, and a subject that names none', { issuer: undefined }, '/issuer'],
    ['a SPIFFE ID of a foreign trust domain', { issuer: undefined, subject: 'spiffe://foreign.org/a' }, '/subject'],
    ['a purpose outside the vocabulary', { purposes: ['refund-investigation', 'world-peace'] }, '/purposes/1'],
    ['no purpose', { purposes: [] }, '/purposes'],
    ['no owner', { owner: undefined }, '/owner'],
    ['an owner with a line break', { owner: 'a\nb' }, '/owner'],
    ['a day that is none', { review_by: '2026-02-30' }, '/review_by'],
    ['a word that is none of ours', { risk: 3 }, '/risk'],
  ])('is refused for %s', async (_name, change, pointer) => {
    await expect(registerAgent({ ...BODY, ...change }, ADMIN, deps)).rejects.toMatchObject({ code: 'invalid_request', errors: [{ pointer }] });
    expect(await register.get(ID)).toBeNull();
  });

  it('takes the issuer from a SPIFFE ID', async () => {
    const { agent } = await registerAgent({ ...BODY, issuer: undefined, subject: 'spiffe://example.org/agent/a' }, ADMIN, deps);
    expect(agent).toEqual({ issuer: 'spiffe://example.org', subject: 'spiffe://example.org/agent/a' });
  });

  it('is made once, and never over one of the configuration', async () => {
    await registerAgent(BODY, ADMIN, deps);
    await expect(registerAgent({ ...BODY, owner: 'mallory' }, ADMIN, deps)).rejects.toMatchObject({ code: 'agent_exists' });
    await expect(registerAgent({ ...BODY, issuer: undefined, subject: BATCH.subject }, ADMIN, deps)).rejects.toMatchObject({ code: 'agent_configured' });
    await expect(changeAgent(agentIdOf(BATCH), { owner: 'mallory' }, ADMIN, deps)).rejects.toMatchObject({ code: 'agent_configured', status: 409 });
    expect((await register.get(ID))?.registration.owner).toBe('team-refunds');
  });

  it('changes in what is named, and in nothing else', async () => {
    await registerAgent({ ...BODY, description: 'pays back' }, ADMIN, deps);
    const { registration } = await changeAgent(ID, { purposes: ['data-export'], description: null }, ADMIN, deps);
    expect(registration).toEqual({ owner: 'team-refunds', purposes: ['data-export'], environments: [], reviewBy: '2999-12-31', description: null });
    await expect(changeAgent(ID, { purposes: ['world-peace'] }, ADMIN, deps)).rejects.toMatchObject({ errors: [{ pointer: '/purposes/0' }] });
    await expect(changeAgent(agentIdOf(OTHER), { owner: 'x' }, ADMIN, deps)).rejects.toMatchObject({ code: 'not_found' });
  });

  it('has its bound', async () => {
    for (const name of ['a', 'b', 'c']) await registerAgent({ ...BODY, subject: `agent:${name}` }, ADMIN, deps);
    await expect(registerAgent({ ...BODY, subject: 'agent:d' }, ADMIN, deps)).rejects.toMatchObject({ code: 'limit_exceeded' });
  });

  it('loses none of two changes at once', async () => {
    await Promise.all(['a', 'b', 'c'].map((name) => registerAgent({ ...BODY, subject: `agent:${name}` }, ADMIN, deps)));
    const id = agentIdOf({ issuer: AGENT.issuer, subject: 'agent:a' });
    await Promise.all([changeAgent(id, { owner: 'team-b' }, ADMIN, deps), changeAgent(id, { review_by: '2027-05-01' }, ADMIN, deps)]);
    expect((await register.get(id))?.registration).toMatchObject({ owner: 'team-b', reviewBy: '2027-05-01' });
    expect((await register.counts()).registered).toBe(4);
  });

  it.each<[string, string, boolean]>([
    ['on the day before', '2026-03-09T23:59:59.999Z', false],
    ['on the day', '2026-03-10T23:59:59.999Z', false],
    ['on the day after', '2026-03-11T00:00:00.000Z', true],
  ])('is overdue %s: %s', (_name, now, overdue) => {
    expect(isOverdue('2026-03-10', epochMsFrom(Date.parse(now)))).toBe(overdue);
  });
});

describe('the list', () => {
  it('comes in pages that leave nothing out, with those of the configuration', async () => {
    for (const name of ['a', 'b', 'c']) await registerAgent({ ...BODY, subject: `agent:${name}` }, ADMIN, deps);
    const seen: string[] = [];
    for (let after: { after?: typeof ID } = {}, more = true; more; ) {
      const page = await register.list({ limit: 1, ...after });
      seen.push(...page.items.map(({ agent }) => agent.subject));
      const last = page.items.at(-1);
      more = page.more;
      if (last !== undefined) after = { after: last.id };
    }
    expect(seen.sort()).toEqual(['agent:a', 'agent:b', 'agent:c', BATCH.subject]);
  });

  it('narrows by owner, state and review', async () => {
    await registerAgent(BODY, ADMIN, deps);
    await disableAgent(ID, 'a test', ADMIN, deps);
    const subjects = async (filter: object) => (await register.list({ limit: 10, ...filter })).items.map(({ agent }) => agent.subject);
    expect(await subjects({ owner: 'team-ledger' })).toEqual([BATCH.subject]);
    expect(await subjects({ state: 'disabled' })).toEqual([AGENT.subject]);
    expect(await subjects({ reviewOverdue: true })).toEqual([BATCH.subject]);
    expect(await register.counts()).toEqual({ registered: 2, disabled: 1, reviewOverdue: 1 });
  });
});

describe('a disabled agent', () => {
  it('is granted nothing, nor is what it declares or what came through it; the same name elsewhere is', async () => {
    await registerAgent(BODY, ADMIN, deps);
    await disableAgent(ID, 'seen in a log', ADMIN, deps);
    const refusal = { code: 'agent_disabled', status: 403, message: expect.not.stringContaining('seen in a log') as unknown };
    await expect(declare()).rejects.toMatchObject(refusal);
    await expect(declare(ORCHESTRATOR, { chain: [AGENT] })).rejects.toMatchObject(refusal);
    await expect(declare(ORCHESTRATOR, { declarer: AGENT })).rejects.toMatchObject(refusal);
    await expect(declare(OTHER)).resolves.toMatchObject({ state: 'minting' });
    await expect(declare(ORCHESTRATOR)).resolves.toMatchObject({ state: 'minting' });
    expect((await register.standingOf(AGENT)).disabled).toBe(true);
  });

  it('loses what is live, and is asked for nothing else', async () => {
    await registerAgent(BODY, ADMIN, deps);
    const live = async (agent: typeof AGENT) => {
      const { envelope, intents } = draftTask(clock, { agent });
      await ledger.declareTask(envelope, intents, agent, {});
      await ledger.activate(envelope.id, intents.map(mintedLease), agent);
      return envelope.id;
    };
    const [mine, theirs] = [await live(AGENT), await live(OTHER)];
    const { revocation } = await disableAgent(ID, 'seen in a log', ADMIN, deps);
    expect(revocation).toMatchObject({ selector: { agent: AGENT.subject, agent_issuer: AGENT.issuer }, total: 1 });
    expect([(await ledger.getTask(mine))?.state, (await ledger.getTask(theirs))?.state]).toEqual(['ending', 'active']);
    expect((await events()).filter(({ type }) => type === 'agent.disabled')).toMatchObject([{ by: ADMIN, agent: AGENT, facts: { reason: 'seen in a log', revocation: revocation.id } }]);
  });

  it('of the configuration is one too, and stays one in another process', async () => {
    await disableAgent(agentIdOf(BATCH), 'a test', ADMIN, deps);
    await expect(declare(BATCH)).rejects.toMatchObject({ code: 'agent_disabled' });
    expect(await anotherProcess().get(agentIdOf(BATCH))).toMatchObject({ source: 'configuration', registration: { owner: 'team-ledger' }, disabled: { reason: 'a test' } });
  });

  it('is granted again once it is enabled; disabling twice is disabling once', async () => {
    await registerAgent(BODY, ADMIN, deps);
    await disableAgent(ID, 'a test', ADMIN, deps);
    await disableAgent(ID, 'once more', ADMIN, deps);
    expect(await ledger.listLocks()).toHaveLength(1);
    await enableAgent(ID, ADMIN, deps);
    expect(await ledger.listLocks()).toEqual([]);
    expect((await register.standingOf(AGENT)).disabled).toBe(false);
    await expect(declare()).resolves.toMatchObject({ state: 'minting' });
    await enableAgent(ID, ADMIN, deps);
    expect((await events()).filter(({ type }) => type === 'agent.enabled')).toHaveLength(1);
  });

  it('none of 100 declarations that race it is activated afterwards', async () => {
    await registerAgent(BODY, ADMIN, deps);
    const grants = Array.from({ length: 100 }, async (_, index) => {
      const { envelope, intents } = draftTask(clock);
      await ledger.declareTask(envelope, intents, AGENT, {});
      if (index === 50) void disabling();
      return { id: envelope.id, outcome: await ledger.activate(envelope.id, intents.map(mintedLease), AGENT) };
    });
    let done: Promise<unknown> | undefined;
    const disabling = () => (done ??= disableAgent(ID, 'a race', ADMIN, deps));
    const settled = await Promise.allSettled(grants);
    await disabling();
    const slipped = await Promise.all(settled.map(async (one) => (one.status === 'fulfilled' ? ((await ledger.getTask(one.value.id))?.state ?? '') : 'refused')));
    expect(slipped.filter((state) => state === 'active')).toEqual([]);
    expect(slipped.some((state) => state !== 'refused')).toBe(true);
  });
});

describe('a writer in Redis', () => {
  const seal = createRecordSeal(RECORD_KEY);
  const shard = shardOf(ID);

  it.each<[string, () => Promise<unknown>]>([
    ['rewrites a record', () => redis.hset(agentKey(ID), 'record', '{"generation":1,"registration":null,"disabled":null}')],
    ['deletes a record', () => redis.del(agentKey(ID))],
    ["puts another agent's record there", async () => redis.hset(agentKey(ID), await redis.hgetall(agentKey(agentIdOf(ORCHESTRATOR))))],
    ['deletes the index', () => redis.del(agentIndexKey(shard))],
    ['deletes record and index', () => redis.del(agentKey(ID), agentIndexKey(shard))],
  ])('who %s makes nothing more powerful: the agent is refused, and it is told', async (_name, meddle) => {
    await registerAgent(BODY, ADMIN, deps);
    await registerAgent({ ...BODY, subject: ORCHESTRATOR.subject }, ADMIN, deps);
    await disableAgent(ID, 'a test', ADMIN, deps);
    await meddle();
    await expect(register.standingOf(AGENT)).rejects.toThrow(TamperedRecord);
    await expect(declare()).rejects.toMatchObject({ code: 'agent_disabled' });
  });

  it('who rewrites the index changes nothing where it is known, and is found out elsewhere', async () => {
    await registerAgent(BODY, ADMIN, deps);
    await redis.hset(agentIndexKey(shard), 'record', '{"generation":1,"agents":{}}');
    expect((await register.standingOf(AGENT)).facts.registered).toBe(true);
    await expect(anotherProcess().standingOf(AGENT)).rejects.toThrow(TamperedRecord);
  });

  it('who puts record and index back to an earlier time is found out by a process that saw the later one', async () => {
    await registerAgent(BODY, ADMIN, deps);
    const before = [await redis.hgetall(agentKey(ID)), await redis.hgetall(agentIndexKey(shard))] as const;
    await changeAgent(ID, { purposes: ['ledger-close'] }, ADMIN, deps);
    await redis.hset(agentKey(ID), before[0]);
    await expect(anotherProcess().standingOf(AGENT)).rejects.toThrow(TamperedRecord);
    await redis.hset(agentIndexKey(shard), before[1]);
    await expect(register.standingOf(AGENT)).rejects.toThrow(TamperedRecord);
    // The control, and what remains: a process that saw nothing later cannot tell.
    expect((await anotherProcess().standingOf(AGENT)).facts.purposes).toEqual(['refund-investigation']);
    await redis.del(agentKey(ID), agentIndexKey(shard));
    expect((await anotherProcess().standingOf(AGENT)).facts).toEqual(UNREGISTERED);
  });

  it('who takes the lock of a disabled agent out of every shard does not enable it', async () => {
    await registerAgent(BODY, ADMIN, deps);
    await disableAgent(ID, 'a test', ADMIN, deps);
    await redis.del(...SHARDS.map(locksKey));
    expect((await register.standingOf(AGENT)).disabled).toBe(true);
    expect((await anotherProcess().standingOf(AGENT)).disabled).toBe(true);
  });

  it('who has the key could make an agent up (control)', async () => {
    await registerAgent(BODY, ADMIN, deps);
    const record = JSON.parse((await redis.hget(agentKey(ID), 'record')) ?? '') as { registration: object };
    const forged = seal.seal('agent', ID, { ...record, registration: { ...record.registration, purposes: ['ledger-close'] } });
    await redis.hset(agentKey(ID), 'record', forged.json, 'mac', forged.mac);
    expect((await register.standingOf(AGENT)).facts.purposes).toEqual(['ledger-close']);
  });

  it('hides the agents of a shard from a list, which is told', async () => {
    await registerAgent(BODY, ADMIN, deps);
    await redis.hset(agentIndexKey(shard), 'mac', 'x');
    expect((await anotherProcess().counts()).registered).toBe(1);
    expect((await register.list({ limit: 10 })).items.map(({ agent }) => agent.subject)).not.toContain(AGENT.subject);
    expect(tampered.map(({ kind, id }) => [kind, id])).toContainEqual(['agents', agentIndexId(shard)]);
  });
});
