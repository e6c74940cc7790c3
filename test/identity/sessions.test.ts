import { createHash } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import type { Redis } from 'ioredis';
import { sessionIdFrom, type SessionId } from '../../src/core/ids.ts';
import { createRecordSeal } from '../../src/ledger/record-seal.ts';
import { sessionKey, standingKey } from '../../src/ledger/redis-keys.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { Sessions, type Person } from '../../src/identity/sessions.ts';
import { RECORD_KEY, testLedger } from '../support/ledger-fixture.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { useRedis } from '../support/use-redis.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const ISSUER = 'https://login.test';
const VERA: Person = { issuer: ISSUER, subject: 'vera', role: 'viewer', issuerSession: 'sid-1' };
const ADA: Person = { issuer: ISSUER, subject: 'ada', role: 'admin', issuerSession: null };
const ROLES = { viewer: ['v'], operator: ['o'], admin: ['a'] };
const ended = expect.objectContaining({ code: 'session_ended' }) as unknown;

let redis: Redis;
let clock: ManualClock;
let ledger: Ledger;
let sessions: Sessions;

useRedis((connection) => {
  redis = connection;
  clock = new ManualClock();
  ({ ledger } = testLedger(redis, clock));
  sessions = sessionsUnder(ROLES);
});

const sessionsUnder = (roles: typeof ROLES): Sessions =>
  new Sessions({ records: ledger, operators: { issuer: ISSUER, roles, roles_claim: 'roles' }, signIn: { client_id: 'd', idle_minutes: 30, max_hours: 12 }, clock });
const open = async (person: Person): Promise<string> => (await sessions.open(person, await ledger.standingOf(person))).expose();
const idOf = (secret: string): SessionId => sessionIdFrom(createHash('sha256').update(secret).digest('hex'));
const who = (secret: string, active = true) => sessions.operatorOf(secret, active);

describe('a session', () => {
  it('is its person, in the role that the issuer gave', async () => {
    expect(await who(await open(ADA))).toMatchObject({ kind: 'operator', issuer: ISSUER, subject: 'ada', role: 'admin' });
  });

  it('is nowhere in Redis but by its digest, and two are never alike', async () => {
    const secrets = [await open(VERA), await open(VERA)];
    expect(new Set(secrets).size).toBe(2);
    const dump = await Promise.all((await redis.keys('*:session:*')).map(async (key) => key + JSON.stringify(await redis.hgetall(key))));
    expect(dump).toHaveLength(2);
    for (const secret of secrets) expect(dump.join().includes(secret)).toBe(false);
    expect(dump.join()).toContain('vera');
  });

  it.each(['', 'x', 'A'.repeat(43), 'A'.repeat(44), '*', '../../', 'ses_'.padEnd(43, '0')])('is not made by guessing: %j', async (guess) => {
    await open(ADA);
    await expect(who(guess)).rejects.toEqual(ended);
  });

  it('ends when its person has done nothing for half an hour; doing something moves that (control)', async () => {
    const [idle, used] = [await open(VERA), await open(ADA)];
    clock.advance(29 * MINUTE);
    await who(used);
    clock.advance(MINUTE);
    await expect(who(idle)).rejects.toEqual(ended);
    expect(await who(used)).toMatchObject({ subject: 'ada' });
    clock.advance(30 * MINUTE);
    await expect(who(used)).rejects.toEqual(ended);
  });

  it('is not kept alive by what a page asks by itself', async () => {
    const secret = await open(VERA);
    for (let minute = 0; minute < 29; minute += 1) {
      clock.advance(MINUTE);
      await who(secret, false);
    }
    clock.advance(MINUTE);
    await expect(who(secret, false)).rejects.toEqual(ended);
  });

  it('ends after twelve hours, whatever its person does', async () => {
    const secret = await open(ADA);
    for (let quarter = 1; quarter < 48; quarter += 1) {
      clock.advance(15 * MINUTE);
      await who(secret);
    }
    const { session, tokenExpiresAtMs } = await who(secret);
    expect([session?.idleEndsAtMs, session?.endsAtMs]).toEqual([tokenExpiresAtMs, tokenExpiresAtMs]);
    clock.advance(15 * MINUTE);
    await expect(who(secret)).rejects.toEqual(ended);
  });

  it('is forgotten by Redis soon after it ended, and not before', async () => {
    const secret = await open(VERA);
    const left = await redis.pttl(sessionKey(idOf(secret)));
    expect(left).toBeGreaterThan(30 * MINUTE);
    expect(left).toBeLessThanOrEqual(31 * MINUTE);
  });

  it('is good for nothing under other rules for roles', async () => {
    const secret = await open(ADA);
    await expect(sessionsUnder({ ...ROLES, admin: ['b'] }).operatorOf(secret, true)).rejects.toEqual(ended);
    expect(await who(secret)).toMatchObject({ role: 'admin' });
  });

  it('is not revived by its person doing something while it is ended', async () => {
    const secret = await open(ADA);
    const found = await sessions.find(secret);
    if (found === null) throw new Error('there is no session');
    await ledger.endSession(found, 'signed_out');
    expect(await ledger.touchSession(found, clock.now(), found.endsAtMs)).toBe(false);
    await expect(who(secret)).rejects.toEqual(ended);
    expect(await redis.exists(sessionKey(idOf(secret)))).toBe(0);
  });
});

describe('the sessions of a person', () => {
  it('end all at once; those of others go on, and a new one can be opened', async () => {
    const [first, second, other] = [await open(VERA), await open(VERA), await open(ADA)];
    await ledger.endSessions({ why: 'signed_out_by_admin', person: VERA, by: ADA, reason: 'left' });
    await expect(who(first)).rejects.toEqual(ended);
    await expect(who(second)).rejects.toEqual(ended);
    expect(await who(other)).toMatchObject({ subject: 'ada' });
    expect(await who(await open(VERA))).toMatchObject({ subject: 'vera' });
  });

  it('end, one that is being opened at that moment too', async () => {
    const standing = await ledger.standingOf(VERA);
    await ledger.endSessions({ why: 'ended_by_issuer', issuer: ISSUER, person: VERA, sid: null });
    await expect(who((await sessions.open(VERA, standing)).expose())).rejects.toEqual(ended);
  });

  it('end by the name that the issuer has for its own, and no other', async () => {
    const [named, other] = [await open(VERA), await open({ ...VERA, issuerSession: 'sid-2' })];
    await ledger.endSessions({ why: 'ended_by_issuer', issuer: ISSUER, person: null, sid: 'sid-1' });
    await expect(who(named)).rejects.toEqual(ended);
    await expect(who(await open(VERA))).rejects.toEqual(ended);
    expect(await who(other)).toMatchObject({ subject: 'vera' });
  });

  it('are not brought back by a mark that somebody makes up', async () => {
    await ledger.endSessions({ why: 'signed_out_everywhere', person: VERA, by: VERA, reason: null });
    const secret = await open(VERA);
    await ledger.endSessions({ why: 'signed_out_everywhere', person: VERA, by: VERA, reason: null });
    await redis.set(standingKey(VERA), '1');
    await expect(who(secret)).rejects.toEqual(ended);
  });
});

describe('a writer in Redis', () => {
  const key = 'a writer knows no key of ours';
  const put = (id: SessionId, json: string, mac: string) => redis.hset(sessionKey(id), { generation: 1, record: json, mac });
  const recordOf = async (secret: string): Promise<Record<string, string>> => redis.hgetall(sessionKey(idOf(secret)));
  const secret = 'w'.repeat(43);

  it('makes up no session; with the key of the seal one could (control)', async () => {
    const session = { ...(JSON.parse((await recordOf(await open(ADA)))['record'] ?? '') as object), id: idOf(secret) };
    for (const mac of ['', 'x'.repeat(43), createHash('sha256').update(key).digest('base64url')]) {
      await put(idOf(secret), JSON.stringify(session), mac);
      await expect(who(secret)).rejects.toMatchObject({ name: 'TamperedRecord', kind: 'session' });
    }
    const { json, mac } = createRecordSeal(RECORD_KEY).seal('session', idOf(secret), session);
    await put(idOf(secret), json, mac);
    expect(await who(secret)).toMatchObject({ role: 'admin' });
  });

  it('gives nobody a higher role, and no session a longer life', async () => {
    const own = await open(VERA);
    const { record = '', mac = '' } = await recordOf(own);
    for (const [from, to] of [['"viewer"', '"admin"'], ['"vera"', '"ada"'], [/"endsAtMs":\d+/, '"endsAtMs":99999999999999'], [/"seenAtMs":\d+/, `"seenAtMs":${clock.now() + HOUR}`]] as const) {
      const forged = record.replace(from, to);
      expect(forged).not.toBe(record);
      await put(idOf(own), forged, mac);
      await expect(who(own)).rejects.toMatchObject({ name: 'TamperedRecord' });
    }
    await put(idOf(own), record, mac);
    expect(await who(own)).toMatchObject({ role: 'viewer' });
  });

  it("does not make one's own session that of an admin by moving the admin's record there", async () => {
    const [own, admins] = [await open(VERA), await open(ADA)];
    const { record = '', mac = '' } = await recordOf(admins);
    await put(idOf(own), record, mac);
    await expect(who(own)).rejects.toMatchObject({ name: 'TamperedRecord' });
  });
});
