import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtemp, readFile, rm, writeFile, cp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeJwt } from 'jose';
import { at } from '../support/at.ts';
import { runMayfly } from '../support/run-mayfly.ts';
import { RunningBroker, type GrantedCredential, type HttpAnswer } from '../support/running-broker.ts';
import { until } from '../support/until.ts';

/** Policies of the example, and: three agents in a row, and a tool that must not be called once personal data was read. */
const MORE = `
@id("chain-mint") permit (principal, action == Mayfly::Action::"mint", resource) when { ["agent:a", "agent:b", "agent:c", "agent:d"].contains(principal.subject) };
@id("chain-delegate") permit (principal, action == Mayfly::Action::"delegate", resource) when { context has for_agent && context.for_agent != "agent:never" };
@id("chain-declare-for") permit (principal, action == Mayfly::Action::"declare_for", resource);
@id("chain-extend") permit (principal, action == Mayfly::Action::"extend", resource);
@id("no-external-tool-after-pii")
@deny_reason("personal data was read in this task; nothing external is called after that")
forbid (principal, action == Mayfly::Action::"mint", resource)
when { context has tool && context.tool like "external.*" && context.touched.contains(Mayfly::DataClass::"pii") };
@id("three-denials")
@deny_reason("denied three times in a row; wait, or ask for what is permitted")
forbid (principal, action == Mayfly::Action::"mint", resource)
when { principal.subject == "agent:d" && context.purpose == Mayfly::Purpose::"ledger-close" && context.denials_in_a_row >= 3 };
@id("five-of-a-purpose")
@deny_reason("five an hour for this purpose")
forbid (principal, action == Mayfly::Action::"mint", resource)
when { ["agent:c", "agent:d"].contains(principal.subject) && context.purpose_grants_last_hour >= 5 };
@id("no-exports-by-d")
@deny_reason("too risky for this agent")
forbid (principal, action, resource)
when { principal.subject == "agent:d" && context.risk >= 2 };
`;

let broker: RunningBroker;
let policies: string;
const tokens = new Map<string, string>();
const token = (name: string): string => tokens.get(name) ?? '';

beforeAll(async () => {
  policies = await mkdtemp(join(tmpdir(), 'mayfly-policies-'));
  await cp(join(import.meta.dirname, '../../config/policies'), policies, { recursive: true });
  await writeFile(join(policies, 'chain.cedar'), MORE);
  broker = await RunningBroker.start({ policy: { directory: policies, risk: { export: 'high' } } });
  for (const name of ['a', 'b', 'c', 'd']) tokens.set(name, await broker.agentToken(`agent:${name}`));
  tokens.set('refunds', await broker.agentToken());
  tokens.set('payouts', await broker.agentToken('agent:payouts'));
}, 60_000);

afterAll(async () => {
  await broker.stop();
  await rm(policies, { recursive: true });
}, 30_000);

interface TaskAnswer {
  readonly id: string;
  readonly state: string;
  readonly end_reason: string | null;
  readonly parent: string | null;
  readonly root: string;
  readonly expires_at: string;
  readonly chain: readonly { readonly task: string; readonly agent: string }[];
}
const taskOf = ({ body }: HttpAnswer): TaskAnswer => body['task'] as TaskAnswer;
const credentialsOf = ({ body }: HttpAnswer): readonly GrantedCredential[] => body['credentials'] as GrantedCredential[];
const get = async (id: string, name: string): Promise<TaskAnswer> => taskOf(await broker.call('GET', `/v1/tasks/${id}`, token(name)));

const delegate = (parent: string, from: string, to: string, fields: object = {}): Promise<HttpAnswer> =>
  broker.call('POST', `/v1/tasks/${parent}/delegate`, token(from), { agent: `agent:${to}`, actions: ['read'], ttl_seconds: 60, credentials: [{ name: 'orders-db', ttl_seconds: 60 }], ...fields });
const claim = (id: string, name: string): Promise<HttpAnswer> => broker.call('POST', `/v1/tasks/${id}/claim`, token(name), {});
const grant = (name: string, credentials: readonly string[], fields: object = {}) => broker.grant(credentials, { token: token(name), fields });

/** A task of `from`, a part of it delegated to `to` and claimed. */
async function delegated(from: string, to: string, parent: string, fields: object = {}): Promise<{ id: string; credentials: readonly GrantedCredential[] }> {
  const declared = await delegate(parent, from, to, fields);
  expect(declared.status).toBe(202);
  const claimed = await claim(taskOf(declared).id, to);
  expect(claimed.status).toBe(201);
  return { id: taskOf(claimed).id, credentials: credentialsOf(claimed) };
}

describe('a delegated task', () => {
  it('waits for its agent, defaults to the purpose of its parent, and dies with it: its open session is cut within a second', async () => {
    const parent = await grant('refunds', ['orders-db', 'vault-token'], { data_classes: ['pii'] });
    const declared = await delegate(parent.id, 'refunds', 'payouts');
    expect(declared).toMatchObject({
      status: 202,
      body: { task: { state: 'pending_claim', purpose: 'refund-investigation', agent: 'agent:payouts', parent: parent.id, root: parent.id, chain: [{ task: parent.id, agent: 'agent:refunds' }] }, credentials: [] },
    });
    const { id, credentials } = { id: taskOf(declared).id, credentials: credentialsOf(await claim(taskOf(declared).id, 'payouts')) };
    const session = broker.psql(at(credentials, 0));
    await session.connect();
    await session.query('select count(*) from orders');
    const cut = new Promise<number>((resolve) => session.once('end', () => resolve(performance.now())));

    const askedMs = performance.now();
    const completed = await broker.complete({ id: parent.id, token: token('refunds') });
    expect(completed.status).toBe(200);
    // Every lease that ended with it is told, those of the child with its id.
    expect(credentialsOf(completed).map(({ name, state }) => [name, state]).sort()).toEqual([['orders-db', 'revoked'], ['orders-db', 'revoked'], ['vault-token', 'revoked']]);
    expect((completed.body['credentials'] as { task_id?: string }[]).map((one) => one.task_id)).toEqual([undefined, undefined, id]);
    expect((await cut) - askedMs).toBeLessThan(1_000);
    expect(await get(id, 'payouts')).toMatchObject({ state: 'ended', end_reason: 'parent_ended' });
    expect(await broker.canLogIn(at(credentials, 0))).toBe(false);
  });

  it('lives on where only a sibling ends (control)', async () => {
    const parent = await grant('a', ['orders-db']);
    const [first, second] = [await delegated('a', 'b', parent.id), await delegated('a', 'c', parent.id)];
    expect((await broker.call('POST', `/v1/tasks/${first.id}/complete`, token('b'), {})).status).toBe(200);
    expect(await broker.canLogIn(at(second.credentials, 0))).toBe(true);
    await broker.complete({ id: parent.id, token: token('a') });
    expect(await broker.canLogIn(at(second.credentials, 0))).toBe(false);
  });

  it('can be looked at and completed by its parent\'s agent, and does not exist for others', async () => {
    const parent = await grant('a', ['orders-db']);
    const child = await delegated('a', 'b', parent.id);
    expect((await get(child.id, 'a')).state).toBe('active');
    for (const [method, path, body] of [['GET', '', undefined], ['POST', '/delegate', {}], ['POST', '/complete', {}]] as const) {
      expect((await broker.call(method, `/v1/tasks/${child.id}${path}`, token('c'), body)).status).toBe(404);
    }
    expect((await broker.call('POST', `/v1/tasks/${child.id}/credentials`, token('a'), { name: 'orders-db' })).status).toBe(404);
    expect((await broker.call('POST', `/v1/tasks/${parent.id}/delegate`, token('b'), {})).status).toBe(404);
    expect((await broker.call('POST', `/v1/tasks/${child.id}/complete`, token('a'), {})).status).toBe(200);
    expect((await get(parent.id, 'a')).state).toBe('active');
    await broker.complete({ id: parent.id, token: token('a') });
  });

  it('is refused with a pointer for everything in which it would be wider', async () => {
    const parent = await broker.grant(['orders-db'], { token: token('a'), ttlSeconds: 120, fields: { context: { region: 'eu' } } });
    const refused = async (fields: object): Promise<readonly string[]> => {
      const { status, body } = await delegate(parent.id, 'a', 'b', fields);
      expect(status).toBe(422);
      return (body['errors'] as { pointer: string }[]).map(({ pointer }) => pointer);
    };
    expect(await refused({ purpose: 'data-export' })).toEqual(['/purpose']);
    expect(await refused({ actions: ['read', 'export'] })).toEqual(['/actions/1']);
    expect(await refused({ data_classes: ['pii'] })).toEqual(['/data_classes/0']);
    expect(await refused({ context: { region: 'us' } })).toEqual(['/context/region']);
    expect(await refused({ ttl_seconds: 200 })).toContain('/ttl_seconds');
    expect(await refused({ credentials: [{ name: 'vault-token' }] })).toEqual(['/credentials/0/name']);
    expect(await refused({ start: 'now' })).toEqual(['/start']);
    expect(await refused({ agent: 'agent:a' })).toEqual(['/agent']);
    await broker.complete({ id: parent.id, token: token('a') });
  });

  it('cannot be widened from inside, nor outlive its parent', async () => {
    const parent = await broker.grant(['orders-db', 'vault-token'], { token: token('a'), ttlSeconds: 120 });
    const child = await delegated('a', 'b', parent.id);
    const wider = await broker.call('POST', `/v1/tasks/${child.id}/credentials`, token('b'), { name: 'task-token' });
    expect(wider).toMatchObject({ status: 422, body: { errors: [{ pointer: '/name' }] } });
    // What its parent has, it may ask for: policy decides.
    expect((await broker.call('POST', `/v1/tasks/${child.id}/credentials`, token('b'), { name: 'vault-token' })).status).toBe(201);
    const longer = await broker.call('POST', `/v1/tasks/${child.id}/extend`, token('b'), { ttl_seconds: 300 });
    expect(longer).toMatchObject({ status: 422, body: { errors: [{ pointer: '/ttl_seconds', detail: expect.stringContaining('parent') }] } });
    expect((await broker.call('POST', `/v1/tasks/${child.id}/extend`, token('b'), { ttl_seconds: 100 })).status).toBe(200);
    expect(Date.parse((await get(child.id, 'b')).expires_at)).toBeLessThanOrEqual(Date.parse((await get(parent.id, 'a')).expires_at));
    await broker.complete({ id: parent.id, token: token('a') });
  });

  it('goes three delegations deep and no further, and never back', async () => {
    const root = await grant('refunds', ['orders-db']);
    // Here the example's own policy decides: only payouts may be handed anything by refunds.
    expect(await delegate(root.id, 'refunds', 'never')).toMatchObject({ status: 403, body: { code: 'policy_denied' } });
    const top = await grant('a', ['orders-db'], { ttl_seconds: 200 });
    const [b, c, d] = [await delegated('a', 'b', top.id), undefined, undefined] as [{ id: string }, unknown, unknown];
    expect(c ?? d).toBeUndefined();
    const second = await delegated('b', 'c', b.id, { ttl_seconds: 50, credentials: [{ name: 'orders-db', ttl_seconds: 40 }] });
    expect(await delegate(second.id, 'c', 'b')).toMatchObject({ status: 422, body: { errors: [{ pointer: '/agent' }] } });
    const third = await delegated('c', 'd', second.id, { ttl_seconds: 30, credentials: [{ name: 'orders-db', ttl_seconds: 20 }] });
    expect((await get(third.id, 'd')).chain.map(({ agent }) => agent)).toEqual(['agent:a', 'agent:b', 'agent:c']);
    expect(await delegate(third.id, 'd', 'payouts')).toMatchObject({ status: 422, body: { detail: expect.stringContaining('3 is the most') } });
    await broker.complete({ id: top.id, token: token('a') });
    for (const [id, name] of [[b.id, 'b'], [second.id, 'c'], [third.id, 'd']] as const) expect((await get(id, name)).end_reason).toBe('parent_ended');
  });

  it('is on the record with its chain, in its token and at its target', async () => {
    const top = await grant('a', ['orders-db', 'task-token', 'vault-token']);
    const child = await delegated('a', 'b', top.id, { credentials: [{ name: 'task-token', ttl_seconds: 30 }, { name: 'vault-token', ttl_seconds: 30 }] });
    const jwt = child.credentials.find(({ name }) => name === 'task-token');
    expect(decodeJwt(jwt?.secret['token'] ?? '')).toMatchObject({ sub: 'agent:a', client_id: 'agent:b', act: { sub: 'agent:b' } });
    const { meta } = (await broker.bao('POST', 'auth/token/lookup', { token: child.credentials.find(({ name }) => name === 'vault-token')?.secret['token'] })) as { meta: Record<string, string> };
    expect(meta).toMatchObject({ agent: 'agent:b', chain: 'agent:a' });
    await broker.complete({ id: top.id, token: token('a') });
    const records = async (): Promise<string[]> => (await readFile(broker.stack.auditFile, 'utf8')).split('\n').filter((line) => line.includes(child.id));
    await until(async () => (await records()).some((line) => line.includes('"parent_ended"')), { what: 'the end of the child is on the record' });
    const declared = (await records()).find((line) => line.includes('"task.declared"')) ?? '{}';
    expect(JSON.parse(declared)).toMatchObject({ event: { facts: { parent: top.id, chain: [{ task: top.id, subject: 'agent:a' }], decision: { result: 'permit' } } } });
  });

  it('is told by one command: who was allowed what, why, by which rule, on whose word, what was refused, and when it died', async () => {
    const top = await grant('a', ['orders-db', 'vault-token']);
    const child = await delegated('a', 'b', top.id);
    expect((await broker.call('POST', `/v1/tasks/${child.id}/credentials`, token('b'), { name: 'task-token' })).status).toBe(422);
    expect((await delegate(top.id, 'a', 'never')).status).toBe(403);
    await broker.complete({ id: top.id, token: token('a') });
    const story = async (): Promise<string> => (await runMayfly(broker, { of: 'viewer', jwt: await broker.operatorToken('viewer') }, ['audit', 'story', child.id])).stdout;
    await until(async () => (await story()).includes('(parent_ended)'), { what: 'the end is on the record', everyMs: 300 });
    const told = await story();
    expect(told).toMatch(new RegExp(`^${top.id}  agent:a  refund-investigation: read$`, 'm'));
    expect(told).toMatch(new RegExp(`^  ${child.id}  agent:b  refund-investigation: read$`, 'm'));
    expect(told).toMatch(/declared by agent:a, on its own word, handed on by agent:a/);
    expect(told).toMatch(/task\.claimed \(agent:b\): permit by chain-delegate, chain-mint \(sha256:/);
    expect(told).toMatch(/delegation\.refused \(agent:b\): refused: \/name is not a credential that the parent task has/);
    expect(told).toMatch(/orders-db lse_\w+: dead at \S+, revoked \(parent_ended\), usable for at most \d+ ms too long/);
    expect(told).toMatch(/ended: completed, by agent:a/);
    expect(told).toMatch(/^refused:\n {2}\S+ task\.denied \(agent:a\): deny/m);
  });

  it('ends with every agent it came through when an operator revokes that one', async () => {
    const top = await grant('a', ['orders-db']);
    const child = await delegated('a', 'b', top.id);
    const session = broker.psql(at(child.credentials, 0));
    await session.connect();
    const cut = new Promise((resolve) => session.once('end', resolve));
    const { body } = await broker.call('POST', '/v1/revocations', await broker.operatorToken(), { selector: { agent: 'agent:a' }, reason: 'gone astray' });
    await cut;
    await until(async () => ((await broker.call('GET', `/v1/revocations/${String(body['id'])}`, await broker.operatorToken())).body['state'] as string) === 'done', { what: 'the revocation is done' }).catch(() => undefined);
    expect((await get(child.id, 'b')).state).toBe('ended');
  });
});

describe('a disabled agent', () => {
  it('takes what it handed on along: the open session of the other agent is cut, and its child cannot go on', async () => {
    const admin = await broker.operatorToken('admin');
    const parent = await grant('refunds', ['orders-db']);
    const child = await delegated('refunds', 'payouts', parent.id);
    const waiting = taskOf(await delegate(parent.id, 'refunds', 'payouts'));
    const session = broker.psql(at(child.credentials, 0));
    await session.connect();
    const cut = new Promise((resolve) => session.once('end', resolve));
    const { items } = (await broker.call('GET', '/v1/agents', admin)).body as { items: { id: string; subject: string }[] };
    const { id = '' } = items.find(({ subject }) => subject === 'agent:refunds') ?? {};
    expect((await broker.call('POST', `/v1/agents/${id}/disable`, admin, { reason: 'a test' })).status).toBeLessThan(300);
    await cut;
    expect((await get(child.id, 'payouts')).state).not.toBe('active');
    expect((await claim(waiting.id, 'payouts')).status).not.toBe(201);
    expect((await broker.call('POST', `/v1/agents/${id}/enable`, admin, {})).status).toBeLessThan(300);
    const again = await grant('refunds', ['orders-db']);
    await broker.complete({ id: again.id, token: token('refunds') });
  });
});

describe('policy over what happened', () => {
  it('lets no external tool be called once personal data was read in the same tree, by one rule', async () => {
    const tool = { name: 'task-reference', tool_call: { id: 'call-1', tool: 'external.mail' } };
    const clean = await grant('a', ['orders-db']);
    expect((await broker.call('POST', `/v1/tasks/${clean.id}/credentials`, token('a'), tool)).status).toBe(201);
    const top = await grant('a', ['orders-db', 'vault-token'], { data_classes: ['pii'] });
    // The one who asks for the tool never read anything itself.
    const child = await delegated('a', 'b', top.id, { credentials: [{ name: 'vault-token', ttl_seconds: 30 }] });
    const asked = await broker.call('POST', `/v1/tasks/${top.id}/credentials`, token('a'), tool);
    expect(asked).toMatchObject({ status: 403, body: { detail: expect.stringContaining('nothing external') } });
    expect(await broker.call('POST', `/v1/tasks/${child.id}/credentials`, token('b'), { ...tool, name: 'orders-db' })).toMatchObject({ status: 403, body: { decision: { policies: ['no-external-tool-after-pii'] } } });
    await Promise.all([clean, top].map(({ id }) => broker.complete({ id, token: token('a') })));
  });

  it('never permits the second of two requests of a tree that exclude each other, however close they come', async () => {
    const both: { read: string; called: string }[] = [];
    let read = 0;
    for (let round = 0; round < 15; round += 1) {
      // Personal data is declared, and nothing that reaches it is held yet.
      const top = await grant('a', ['vault-token', 'task-reference'], { data_classes: ['pii'] });
      const beside = await delegated('a', 'b', top.id, { credentials: [{ name: 'vault-token', ttl_seconds: 60 }] });
      const [reading, calling] = await Promise.all([
        broker.call('POST', `/v1/tasks/${top.id}/credentials`, token('a'), { name: 'orders-db' }),
        broker.call('POST', `/v1/tasks/${beside.id}/credentials`, token('b'), { name: 'task-reference', tool_call: { id: `call-${round}`, tool: 'external.mail' } }),
      ]);
      if (reading.status === 201) read += 1;
      if (reading.status === 201 && calling.status === 201) both.push({ read: at(credentialsOf(reading), 0).lease_id, called: at(credentialsOf(calling), 0).lease_id });
      await broker.complete({ id: top.id, token: token('a') });
    }
    expect(read).toBeGreaterThan(0);
    const intended = async (): Promise<string[]> => (await readFile(broker.stack.auditFile, 'utf8')).split('\n').filter((line) => line.includes('"lease.intended"'));
    const wanted = both.flatMap((round) => [round.read, round.called]);
    await until(async () => { const lines = await intended(); return wanted.every((id) => lines.some((line) => line.includes(id))); }, { what: 'the rounds are on the record' });
    const order = await intended();
    for (const round of both) {
      const [calledAt, readAt] = [round.called, round.read].map((id) => order.findIndex((line) => line.includes(id)));
      expect([round, calledAt, calledAt !== undefined && readAt !== undefined && calledAt !== -1 && calledAt < readAt]).toEqual([round, calledAt, true]);
    }
  }, 120_000);

  it('counts the grants of a purpose, consistently under parallel requests', async () => {
    const answers = await Promise.all(
      Array.from({ length: 12 }, () => broker.call('POST', '/v1/tasks', token('c'), { purpose: 'support-triage', actions: ['read'], credentials: [{ name: 'task-reference' }] })),
    );
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(5);
    // Another purpose is counted by itself.
    expect((await broker.call('POST', '/v1/tasks', token('c'), { purpose: 'ledger-close', actions: ['read'], credentials: [{ name: 'task-reference' }] })).status).toBe(201);
  });

  it('counts denials in a row until a permit, and knows how risky an action is', async () => {
    const declare = (fields: object): Promise<HttpAnswer> => broker.call('POST', '/v1/tasks', token('d'), { purpose: 'support-triage', actions: ['read'], credentials: [{ name: 'task-reference' }], ...fields });
    const close = { purpose: 'ledger-close' };
    for (let i = 0; i < 6; i += 1) expect(await declare({ actions: ['export'] })).toMatchObject({ status: 403, body: { detail: 'too risky for this agent' } });
    expect(await declare(close)).toMatchObject({ status: 403, body: { detail: expect.stringContaining('three times') } });
    // Six denials for this purpose were no grants of it.
    expect((await declare({})).status).toBe(201);
    expect((await declare(close)).status).toBe(201);
  });
});
