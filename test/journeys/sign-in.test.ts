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
    expect((await broker.call('GET', '/auth/methods', null)).body).toMatchObject({ sign_in: true });
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

describe('a sign-in that is meddled with', () => {
  const refused = async (response: Response, detail: RegExp): Promise<void> => {
    expect([response.status, await json(response)]).toEqual([403, expect.objectContaining({ code: 'sign_in_refused', detail: expect.stringMatching(detail) as unknown })]);
    expect(response.headers.getSetCookie().filter((line) => line.startsWith('__Host-mayfly='))).toEqual([]);
  };
  const withQuery = (url: URL, changes: Readonly<Record<string, string | null>>): string => {
    for (const [name, value] of Object.entries(changes)) if (value === null) url.searchParams.delete(name);
    else url.searchParams.set(name, value);
    return url.href;
  };

  it('is not completed twice: neither by the same browser nor by one that copied all it held', async () => {
    const person = browser();
    const back = await person.goToIssuer('olga');
    const copy = browser();
    for (const [name, value] of person.cookies) copy.cookies.set(name, value);
    expect((await person.ask(back.href)).status).toBe(303);
    await refused(await person.ask(back.href), /has begun no sign-in/);
    await refused(await copy.ask(back.href), /was completed before/);
  });

  it('is not completed in another browser: nobody is signed in as somebody else by a link', async () => {
    const attacker = browser();
    const back = await attacker.goToIssuer('ada');
    await refused(await browser().ask(back.href), /has begun no sign-in/);
    const victim = browser();
    await victim.goToIssuer('vera');
    await refused(await victim.ask(back.href), /not what was asked for/);
  });

  it.each<[string, Readonly<Record<string, string | null>>, RegExp]>([
    ['another state', { state: 'A'.repeat(43) }, /not what was asked for/],
    ['no state', { state: null }, /not what was asked for/],
    ['the name of another issuer (RFC 9207)', { iss: 'https://honest.example' }, /not what was asked for/],
    ['no name of the issuer, which said that it gives one', { iss: null }, /not what was asked for/],
    ['another code', { code: 'made-up' }, /no longer takes the code/],
    ['no code', { code: null }, /not what was asked for/],
    ['a refusal of the issuer', { code: null, error: 'access_denied' }, /did not let the person in/],
    ['an error of the issuer', { code: null, error: 'invalid_scope' }, /refused the request/],
  ])('with %s ends in no session', async (_what, changes, detail) => {
    const person = browser();
    await refused(await person.ask(withQuery(await person.goToIssuer('olga'), changes)), detail);
  });

  it('does not take the code of another attempt, whose PKCE verifier it does not have', async () => {
    const [attacker, person] = [browser(), browser()];
    const code = (await attacker.goToIssuer('ada')).searchParams.get('code');
    await refused(await person.ask(withQuery(await person.goToIssuer('olga'), { code })), /no longer takes the code/);
  });

  it('with a forged attempt is nothing, and with no cookie at all', async () => {
    const person = browser();
    const back = await person.goToIssuer('olga');
    const [name, value] = [...person.cookies].find(([one]) => one.startsWith('__Host-mayfly-sign-in')) ?? ['', ''];
    const [payload = '', mac = ''] = value.split('.');
    const forged = Buffer.from(Buffer.from(payload, 'base64url').toString().replace('"return_to":"/"', '"return_to":"//evil.example"')).toString('base64url');
    expect(forged).not.toBe(payload);
    for (const cookie of [`${forged}.${mac}`, payload, '', `${payload}.`, `.${mac}`]) {
      person.cookies.set(name, cookie);
      await refused(await person.ask(back.href), /has begun no sign-in/);
    }
  });

  it.each(['//evil.example', '/%5cevil.example/..//x', 'https://evil.example', '/.//evil.example'])('leads nowhere but to the broker: %s', async (to) => {
    const person = browser();
    const begun = await person.ask(`/auth/sign-in?return_to=${encodeURIComponent(to)}`);
    if (begun.status === 422) return;
    const back = await person.signIn('vera', `?return_to=${encodeURIComponent(to)}`);
    expect(new URL(back.headers.get('location') ?? '').origin).toBe(broker.url);
  });

  it('gives a browser a session of its own, whatever was put into it before; what was there ends', async () => {
    const [attacker, victim] = [browser(), browser()];
    await attacker.signIn('vera');
    const planted = attacker.cookies.get('__Host-mayfly') ?? '';
    victim.cookies.set('__Host-mayfly', planted);
    await victim.signIn('ada');
    expect(victim.cookies.get('__Host-mayfly')).not.toBe(planted);
    expect(await json(await victim.ask('/v1/whoami'))).toMatchObject({ caller: { subject: 'ada' } });
    expect(await json(await attacker.ask('/v1/whoami'))).toMatchObject({ code: 'session_ended' });
    const made = browser();
    made.cookies.set('__Host-mayfly', 'A'.repeat(43));
    await made.signIn('ada');
    expect(made.cookies.get('__Host-mayfly')).not.toBe('A'.repeat(43));
  });
});

describe('a session', () => {
  it('counts for nothing beside a token: the token says who calls', async () => {
    const person = browser();
    await person.signIn('ada');
    expect((await broker.call('GET', '/v1/whoami', await broker.operatorToken('viewer'), undefined, person.headers())).body).toMatchObject({ caller: { role: 'viewer' }, session: null });
    expect((await broker.call('GET', '/v1/whoami', 'x.y.z', undefined, person.headers())).status).toBe(401);
  });

  it('is none for the OAuth face, and never a workload', async () => {
    const person = browser();
    await person.signIn('ada');
    const form = { method: 'POST', body: new URLSearchParams({ token: 'x' }), headers: person.headers() };
    expect((await fetch(`${broker.url}/oauth2/introspect`, form)).status).toBe(401);
    expect((await person.act('POST', '/v1/tasks', { purpose: 'refund-investigation', actions: ['read'], credentials: [{ name: 'task-token' }] })).status).toBe(403);
  });

  it('lets its person revoke, on the record by name', async () => {
    const person = browser();
    await person.signIn('oskar');
    const { credentials } = await broker.grant(['task-reference']);
    const asked = await person.act('POST', '/v1/revocations', { selector: { lease: credentials[0]?.lease_id }, reason: 'by hand' });
    expect(asked.status).toBe(202);
    await audited(['revocation.requested', 'oskar']);
  });

  it('ends everywhere by the person, by an admin, and by each of them alone for others (control)', async () => {
    const [one, two, other] = [browser(), browser(), browser()];
    for (const person of [one, two]) await person.signIn('olga');
    await other.signIn('vera');
    await one.act('POST', '/auth/sign-out', { everywhere: true });
    expect(await json(await two.ask('/v1/whoami'))).toMatchObject({ code: 'session_ended' });
    expect((await other.ask('/v1/whoami')).status).toBe(200);
    const admin = browser();
    await admin.signIn('ada');
    expect((await admin.act('POST', '/v1/sign-outs', { subject: 'vera', reason: 'left' })).status).toBe(200);
    expect(await json(await other.ask('/v1/whoami'))).toMatchObject({ code: 'session_ended' });
    await audited(['sessions.ended', 'vera', 'signed_out_by_admin', 'left']);
  });

  it('is not ended by a page of another site', async () => {
    const person = browser();
    await person.signIn('vera');
    const answer = await person.act('POST', '/auth/sign-out', undefined, { 'Sec-Fetch-Site': 'cross-site' });
    expect([answer.status, await json(answer)]).toEqual([403, expect.objectContaining({ code: 'cross_site_request' })]);
    expect((await person.ask('/v1/whoami')).status).toBe(200);
  });

  it('that ends takes its event streams with it', async () => {
    const person = browser();
    await person.signIn('vera');
    const stream = await person.ask('/v1/events');
    expect(stream.status).toBe(200);
    const reader = stream.body?.getReader();
    const admin = browser();
    await admin.signIn('ada');
    await admin.act('POST', '/v1/sign-outs', { subject: 'vera', reason: 'left' });
    let done = false;
    while (!done) done = (await reader?.read())?.done ?? true;
    expect(done).toBe(true);
  }, 30_000);
});

describe('the logout of the issuer', () => {
  const EVENTS = { 'http://schemas.openid.net/event/backchannel-logout': {} };
  const token = (claims: Readonly<Record<string, unknown>>, more: Partial<Parameters<typeof broker.stack.operators.sign>[0]> = {}): Promise<string> =>
    broker.stack.operators.sign({ subject: 'oskar', audience: 'mayfly-dev-dashboard', type: 'logout+jwt', claims: { events: EVENTS, ...claims }, ...more });
  const send = async (logoutToken: string): Promise<Response> => fetch(`${broker.url}/auth/back-channel-logout`, { method: 'POST', body: new URLSearchParams({ logout_token: logoutToken }) });

  it('ends the sessions of the person it names, once', async () => {
    const person = browser();
    await person.signIn('oskar');
    const logout = await token({});
    const answer = await send(logout);
    expect([answer.status, answer.headers.get('cache-control')]).toEqual([200, 'no-store']);
    expect(await json(await person.ask('/v1/whoami'))).toMatchObject({ code: 'session_ended' });
    await person.signIn('oskar');
    const again = await send(logout);
    expect([again.status, await json(again)]).toEqual([400, expect.objectContaining({ error: 'invalid_request', error_description: expect.stringContaining('came before') as unknown })]);
    expect((await person.ask('/v1/whoami')).status).toBe(200);
  });

  it.each<[string, () => Promise<string>]>([
    ['that is an id token', () => token({ nonce: 'n' }, { type: 'JWT' })],
    ['with a nonce', () => token({ nonce: 'n' })],
    ['without events', () => token({ events: undefined })],
    ['with another event', () => token({ events: { 'http://schemas.openid.net/event/other': {} } })],
    ['whose event is no object', () => token({ events: { 'http://schemas.openid.net/event/backchannel-logout': 'yes' } })],
    ['for another client', () => token({}, { audience: 'another' })],
    ['for the audience of operator tokens', () => token({}, { audience: broker.stack.operators.audience })],
    ['that has expired', () => token({}, { lifetimeSeconds: -60 })],
    ['that lives too long', () => token({}, { lifetimeSeconds: 7_200 })],
    ['of another type', () => token({}, { type: 'at+jwt' })],
    ['of another issuer', () => broker.stack.workloads.sign({ subject: 'oskar', audience: 'mayfly-dev-dashboard', type: 'logout+jwt', claims: { events: EVENTS } })],
    ['that is signed by nobody', async () => `${(await token({})).split('.').slice(0, 2).join('.')}.AAAA`],
    ['that is none', () => Promise.resolve('none')],
  ])('by a token %s ends nothing', async (_what, make) => {
    const person = browser();
    await person.signIn('oskar');
    const answer = await send(await make());
    expect([answer.status, await json(answer)]).toEqual([400, expect.objectContaining({ error: 'invalid_request' })]);
    expect((await person.ask('/v1/whoami')).status).toBe(200);
  });

  it('opens no door: its token is no operator token', async () => {
    const logout = await token({ roles: ['mayfly-admin'] }, { audience: broker.stack.operators.audience });
    expect((await broker.call('GET', '/v1/whoami', logout)).status).toBe(401);
  });
});
