import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { decodeJwt } from 'jose';
import { AGENT, SECOND_AGENT } from '../../dev/dev-identities.ts';
import { startDevIssuer, type DevIssuer } from '../../dev/dev-issuer.ts';
import { at } from '../support/at.ts';
import { CookieBrowser } from '../support/cookie-browser.ts';
import { undescribed } from '../support/described-answer.ts';
import { RunningBroker } from '../support/running-broker.ts';
import { ACCOUNT_DISABLED, CREDENTIAL_CHANGE, startTransmitter, type SecurityEventTransmitter } from '../support/security-event-transmitter.ts';
import { until } from '../support/until.ts';

const AUDIENCE = 'https://mayfly.example.org/signals';
let broker: RunningBroker;
let users: DevIssuer;
let idp: SecurityEventTransmitter;

beforeAll(async () => {
  [users, idp] = await Promise.all([startDevIssuer({ audience: 'mayfly-consent' }), startTransmitter(AUDIENCE)]);
  broker = await RunningBroker.start({}, [], {
    configure(config, { stack }) {
      config.identity.users = { issuer: users.issuer, audience: 'mayfly-consent' };
      config.signals = { transmitters: [{ issuer: idp.issuer, audience: AUDIENCE, speaks_for: [users.issuer, stack.workloads.issuer, stack.operators.issuer] }] };
    },
  });
}, 60_000);

afterAll(async () => {
  idp.stop();
  await Promise.all([broker.stop(), users.stop()]);
}, 30_000);

interface Answer {
  readonly status: number;
  readonly body: { readonly err?: string };
}
/** Pushes a token as RFC 8935 says. Throws when the answer is not one that src/http/openapi describes. */
async function push(token: string, type = 'application/secevent+jwt'): Promise<Answer> {
  const response = await fetch(`${broker.url}/v1/security-events`, { method: 'POST', headers: { 'Content-Type': type, Accept: 'application/json' }, body: token });
  const text = await response.text();
  const answer = { status: response.status, headers: response.headers, body: text === '' ? {} : (JSON.parse(text) as Answer['body']) };
  const fault = undescribed('POST', '/v1/security-events', answer);
  if (fault !== null) throw new Error(fault);
  return answer;
}

const ofAgent = (subject: string) => ({ format: 'iss_sub', iss: broker.stack.workloads.issuer, sub: subject });
const ofPerson = (subject: string) => ({ format: 'iss_sub', iss: users.issuer, sub: subject });

/** A live task of an agent, for itself or on behalf of a person. */
async function taskOf(agent: string, person?: string): Promise<{ readonly id: string; readonly token: string; readonly reference: string }> {
  const evidence = person === undefined ? {} : { evidence: { kind: 'user_consented', token: await users.sign({ subject: person, claims: { may_act: { sub: agent } } }) } };
  const token = await broker.agentToken(agent);
  const granted = await broker.grant(['task-reference'], { token, fields: evidence });
  return { id: granted.id, token, reference: at(granted.credentials, 0).secret['token'] ?? '' };
}
type LiveTask = Awaited<ReturnType<typeof taskOf>>;
const stateOf = async ({ id, token }: LiveTask): Promise<{ state: string; end_reason: string | null }> => (await broker.call('GET', `/v1/tasks/${id}`, token)).body['task'] as { state: string; end_reason: string | null };
const hasEnded = (task: LiveTask): Promise<void> => until(async () => (await stateOf(task)).state === 'ended', { what: 'the task has ended' });
const isGood = async ({ reference, token }: LiveTask): Promise<unknown> => {
  const response = await fetch(`${broker.url}/oauth2/introspect`, { method: 'POST', headers: { Authorization: `Bearer ${token}` }, body: new URLSearchParams({ token: reference }) });
  return ((await response.json()) as { active: boolean }).active;
};

interface Audited {
  readonly type: string;
  readonly task: string | null;
  readonly by: { readonly issuer: string; readonly subject: string };
  readonly facts: Readonly<Record<string, unknown>>;
}
const audited = async (type: string): Promise<Audited[]> =>
  (await readFile(broker.stack.auditFile, 'utf8').catch(() => ''))
    .split('\n')
    .filter((line) => line.includes(`"${type}"`))
    .map((line) => (JSON.parse(line) as { event: Audited }).event);

describe('session-revoked', () => {
  it('ends all that an agent has, and nothing of another; the record names the transmitter', async () => {
    const [first, second, other] = [await taskOf(AGENT), await taskOf(AGENT), await taskOf(SECOND_AGENT)];
    expect([await isGood(first), await isGood(other)]).toEqual([true, true]);
    expect(await push(await idp.sign(ofAgent(AGENT), { claims: { jti: 'signal-1' } }))).toEqual(expect.objectContaining({ status: 202, body: {} }));
    await Promise.all([hasEnded(first), hasEnded(second)]);
    expect([await isGood(first), await isGood(second), await isGood(other)]).toEqual([false, false, true]);
    expect(await stateOf(first)).toMatchObject({ end_reason: 'revoked' });
    expect(await stateOf(other)).toMatchObject({ state: 'active' });
    await until(async () => (await audited('task.ending')).some(({ task }) => task === second.id), { what: 'the end is on the record' });
    const author = { issuer: idp.issuer, subject: 'security-events' };
    expect((await audited('signal.received')).map(({ by, facts }) => [by, facts['jti'], facts['event']])).toEqual([[author, 'signal-1', 'session-revoked']]);
    expect((await audited('revocation.requested')).map(({ by }) => by)).toEqual([author]);
    for (const task of [first, second]) expect((await audited('task.ending')).find((event) => event.task === task.id)?.by).toEqual(author);
  }, 30_000);

  it('ends what agents do on behalf of a person, and not what they do for others', async () => {
    const [forAnn, forBob, own] = [await taskOf(AGENT, 'user:ann'), await taskOf(AGENT, 'user:bob'), await taskOf(AGENT)];
    expect((await push(await idp.sign({ format: 'complex', user: ofPerson('user:ann'), session: { format: 'opaque', id: 's1' } }))).status).toBe(202);
    await hasEnded(forAnn);
    expect(await isGood(forAnn)).toBe(false);
    expect([await isGood(forBob), await isGood(own)]).toEqual([true, true]);
    expect((await push(await idp.sign(ofPerson('user:bob'), { type: ACCOUNT_DISABLED }))).status).toBe(202);
    await hasEnded(forBob);
    expect(await isGood(own)).toBe(true);
  }, 30_000);

  it('that comes again is acknowledged and ends nothing more', async () => {
    const before = await taskOf(AGENT);
    const token = await idp.sign(ofAgent(AGENT));
    expect((await push(token)).status).toBe(202);
    await hasEnded(before);
    const after = await taskOf(AGENT);
    for (let index = 0; index < 3; index += 1) expect((await push(token)).status).toBe(202);
    // Another of the same is heeded (control): when its end is seen, that of the repeated ones would have been.
    expect(await stateOf(after)).toMatchObject({ state: 'active' });
    expect((await push(await idp.sign(ofAgent(AGENT)))).status).toBe(202);
    await hasEnded(after);
    expect((await audited('signal.received')).filter(({ facts }) => facts['jti'] === decodeJwt(token).jti)).toHaveLength(1);
  }, 30_000);
});

describe('credential-change', () => {
  const changed = (change: string | undefined): Promise<string> => idp.sign(ofAgent(AGENT), { type: CREDENTIAL_CHANGE, said: { credential_type: 'x509', change_type: change } });

  it.each(['revoke', 'delete'])('ends all that its subject has where a credential is gone: %s', async (change) => {
    const [task, other] = [await taskOf(AGENT), await taskOf(SECOND_AGENT)];
    expect((await push(await changed(change))).status).toBe(202);
    await hasEnded(task);
    expect([await isGood(task), await isGood(other)]).toEqual([false, true]);
  }, 30_000);

  it.each(['create', 'update', 'REVOKE', undefined])('ends nothing where it is another change, and is on the record: %s', async (change) => {
    const task = await taskOf(AGENT);
    const token = await changed(change);
    expect((await push(token)).status).toBe(202);
    await until(async () => (await audited('signal.ignored')).some(({ facts }) => facts['jti'] === decodeJwt(token).jti), { what: 'it is on the record' });
    expect(await stateOf(task)).toMatchObject({ state: 'active' });
  }, 30_000);
});

describe('a signal that ends nothing', () => {
  it('is acknowledged, and on the record with why', async () => {
    const task = await taskOf(AGENT);
    const tokens = {
      'nobody has that name': await idp.sign(ofAgent('agent:nobody')),
      'another event': await idp.sign(ofAgent(AGENT), { type: 'https://schemas.openid.net/secevent/caep/event-type/token-claims-change' }),
      'not its to say': await idp.sign({ format: 'uri', uri: 'spiffe://example.org/agent/refunds' }),
      'no kind that is known': await idp.sign({ format: 'phone_number', phone_number: '+12065550100' }),
      'a check of the stream': await idp.sign({ format: 'opaque', id: 'stream' }, { type: 'https://schemas.openid.net/secevent/ssf/event-type/verification' }),
    };
    for (const token of Object.values(tokens)) expect((await push(token)).status).toBe(202);
    const ignored = async (): Promise<Audited[]> => (await audited('signal.ignored')).filter(({ facts }) => Object.values(tokens).some((token) => decodeJwt(token).jti === facts['jti']));
    await until(async () => (await ignored()).length === 4, { what: 'all are on the record' });
    expect((await audited('signal.ignored')).every(({ by }) => by.issuer === idp.issuer)).toBe(true);
    expect(await stateOf(task)).toMatchObject({ state: 'active' });
  });

  it('is refused where it is none, and nothing ends: nobody needs to authenticate, and nobody can make one up', async () => {
    const task = await taskOf(AGENT);
    const good = await idp.sign(ofAgent(AGENT));
    const [header = '', claims = ''] = good.split('.');
    const refused: readonly (readonly [string, string, string?])[] = [
      ['invalid_request', ''],
      ['invalid_request', 'x.y.z'],
      ['invalid_request', good, 'application/json'],
      ['invalid_key', `${header}.${claims}.${'A'.repeat(342)}`],
      ['invalid_issuer', await idp.sign(ofAgent(AGENT), { claims: { iss: users.issuer } })],
      ['invalid_audience', await idp.sign(ofAgent(AGENT), { claims: { aud: 'https://elsewhere.test' } })],
      ['invalid_request', await idp.sign(ofAgent(AGENT), { claims: { sub: AGENT } })],
      // A token that the agent logs in with is no signal about it.
      ['invalid_issuer', await broker.agentToken(AGENT)],
    ];
    for (const [err, token, type] of refused) expect(await push(token, type)).toMatchObject({ status: 400, body: { err } });
    expect(await stateOf(task)).toMatchObject({ state: 'active' });
    expect((await push(good)).status).toBe(202);
    await hasEnded(task);
  }, 30_000);
});

describe('session-revoked of whoever signed in here', () => {
  it('signs an operator out, and nobody else', async () => {
    const [olga, oskar] = [new CookieBrowser(broker.url), new CookieBrowser(broker.url)];
    await olga.signIn('olga');
    await oskar.signIn('oskar');
    expect([(await olga.ask('/v1/leases')).status, (await oskar.ask('/v1/leases')).status]).toEqual([200, 200]);
    expect((await push(await idp.sign({ format: 'iss_sub', iss: broker.stack.operators.issuer, sub: 'olga' }))).status).toBe(202);
    expect([(await olga.ask('/v1/leases')).status, (await oskar.ask('/v1/leases')).status]).toEqual([401, 200]);
    await until(async () => (await audited('sessions.ended')).some(({ by, facts }) => by.issuer === idp.issuer && JSON.stringify(facts).includes('ended_by_signal')), { what: 'its record' });
  }, 30_000);
});

describe('with Redis away', () => {
  it('a signal is not acknowledged, so that it is sent again', async () => {
    const token = await idp.sign(ofAgent(AGENT));
    await broker.stack.redis.stop();
    expect(await push(token)).toMatchObject({ status: 503, body: { code: 'ledger_unavailable' } });
  });
});
