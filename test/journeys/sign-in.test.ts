import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { CookieBrowser } from '../support/cookie-browser.ts';
import { RunningBroker } from '../support/running-broker.ts';
import { until } from '../support/until.ts';

let broker: RunningBroker;
beforeAll(async () => {
  broker = await RunningBroker.start();
}, 60_000);
afterAll(() => broker.stop(), 30_000);

const browser = (): CookieBrowser => new CookieBrowser(broker.url);
const json = async (response: Response): Promise<Record<string, unknown>> => (await response.json()) as Record<string, unknown>;
const audited = async (words: readonly string[]): Promise<void> =>
  until(async () => (await readFile(broker.stack.auditFile, 'utf8').catch(() => '')).split('\n').some((line) => words.every((word) => line.includes(word))), { what: words.join(', ') });

describe('signing in with a browser', () => {
  it('is offered where it is configured', async () => {
    expect((await broker.call('GET', '/auth/methods', null)).body).toEqual({ sign_in: true });
  });

  it.each([
    ['vera', 'viewer'],
    ['olga', 'operator'],
    ['oskar', 'operator'],
    ['ada', 'admin'],
  ])('makes %s a %s, and says until when', async (subject, role) => {
    const person = browser();
    const back = await person.signIn(subject, '?return_to=/leases?state=stuck');
    expect([back.status, back.headers.get('location')]).toEqual([303, `${broker.url}/leases?state=stuck`]);
    const { caller, session, now } = (await json(await person.ask('/v1/whoami'))) as Record<string, Record<string, string>> & { now: string };
    expect(caller).toMatchObject({ kind: 'operator', subject, role, issuer: broker.stack.operators.issuer });
    expect(Date.parse(session?.['expires_at'] ?? '') - Date.parse(now)).toBeGreaterThan(11.9 * 3_600_000);
    expect(Date.parse(session?.['idle_expires_at'] ?? '') - Date.parse(now)).toBeGreaterThan(29.9 * 60_000);
    await audited(['session.opened', subject, role]);
  });

  it('gives a cookie that no script reads, no other host sets and no other site sends', async () => {
    const person = browser();
    const back = await person.signIn('vera');
    const [line] = back.headers.getSetCookie().filter((one) => one.startsWith('__Host-mayfly='));
    expect(line?.replace(/^__Host-mayfly=[\w-]{43};/, '').split('; ').map((one) => one.trim()).sort()).toEqual(['HttpOnly', 'Path=/', 'SameSite=Lax', 'Secure']);
  });

  it('lets nobody in without a role, says so, and puts it on the record', async () => {
    const person = browser();
    const back = await person.ask((await person.goToIssuer('nora')).href, { headers: { Accept: 'text/html' } });
    expect([back.status, back.headers.get('content-type')]).toEqual([403, 'text/html; charset=utf-8']);
    expect(await back.text()).toContain('knows you as nora');
    expect(person.cookies.size).toBe(0);
    await audited(['session.refused', 'nora', 'no_role']);
  });

  it('ends with sign-out, for whoever copied the cookie too', async () => {
    const person = browser();
    await person.signIn('olga');
    const thief = browser();
    for (const [name, value] of person.cookies) thief.cookies.set(name, value);
    expect((await thief.ask('/v1/leases')).status).toBe(200);
    expect((await person.act('POST', '/auth/sign-out')).status).toBe(200);
    expect(person.cookies.size).toBe(0);
    expect(await json(await thief.ask('/v1/leases'))).toMatchObject({ status: 401, code: 'session_ended' });
    await audited(['session.ended', 'olga', 'signed_out']);
  });
});
