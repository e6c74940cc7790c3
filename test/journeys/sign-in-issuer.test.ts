import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { requiredMembers, thumbprintOf } from '../../src/core/private-key-file.ts';
import { CookieBrowser } from '../support/cookie-browser.ts';
import { COMMAND_LINE, startOidcIssuer, type OidcIssuer } from '../support/oidc-issuer.ts';
import { RunningBroker } from '../support/running-broker.ts';
import { SignInAtTerminal } from '../support/sign-in-at-terminal.ts';
import { until } from '../support/until.ts';

let broker: RunningBroker;
let idp: OidcIssuer;

beforeAll(async () => {
  broker = await RunningBroker.start();
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  await writeFile(join(broker.stack.directory, 'client.pem'), privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  await writeFile(join(broker.stack.directory, 'client-secret'), 'a secret: with + and / and %', { mode: 0o600 });
  const jwk = { ...requiredMembers(privateKey), kid: thumbprintOf(requiredMembers(privateKey)), alg: 'ES256', use: 'sig' };
  idp = await startOidcIssuer({ brokerUrl: broker.url, clients: [{ client_id: 'by-secret', client_secret: 'a secret: with + and / and %' }, { client_id: 'by-key', jwk }] });
  await signInAs('by-secret', { client_secret_file: 'client-secret' });
}, 90_000);

afterAll(async () => {
  await idp.stop();
  await broker.stop();
}, 30_000);

const signInAs = (clientId: string, proof: object): Promise<void> =>
  broker.reconfigure((config) => {
    config.operators = { issuer: idp.issuer, audience: 'mayfly-operators', sign_in: { client_id: clientId, scopes: ['openid', 'mayfly'], ...proof } };
  });
const browser = (): CookieBrowser => new CookieBrowser(broker.url);

/** The whole way, as a browser goes it. */
async function signIn(person: CookieBrowser, query = ''): Promise<Response> {
  const back = await person.followToBroker(await person.beginSignIn(query));
  return person.ask(back.href);
}

describe('signing in at a real OpenID provider', () => {
  it.each([
    ['olga', ['mayfly-operator'], 'operator'],
    ['ada', ['other', 'mayfly-viewer', 'mayfly-admin'], 'admin'],
  ])('makes %s, who has %j, %s here', async (subject, roles, role) => {
    idp.person = { subject, roles };
    const person = browser();
    const back = await signIn(person);
    expect([back.status, back.headers.get('location')]).toEqual([303, `${broker.url}/`]);
    expect(await (await person.ask('/v1/whoami')).json()).toMatchObject({ caller: { subject, role, issuer: idp.issuer } });
  });

  it('lets nobody in to whom it gives no role', async () => {
    idp.person = { subject: 'nora', roles: ['something-else'] };
    const person = browser();
    const back = await signIn(person);
    expect([back.status, await back.json()]).toEqual([403, expect.objectContaining({ code: 'sign_in_refused', detail: expect.stringContaining('knows you as nora') as unknown })]);
    expect([...person.cookies.keys()]).toEqual([]);
  });

  it('ends by the logout token that the provider itself sends when its person signs out there', async () => {
    idp.person = { subject: 'olga', roles: ['mayfly-operator'] };
    const [person, elsewhere] = [browser(), browser()];
    await signIn(person);
    await signIn(elsewhere);
    const thief = new CookieBrowser(broker.url);
    for (const [name, value] of person.cookies) thief.cookies.set(name, value);
    const { end_session_url: url } = (await (await person.act('POST', '/auth/sign-out')).json()) as { end_session_url: string };
    await signIn(person);
    const stolen = person.headers();
    expect((await broker.call('GET', '/v1/whoami', null, undefined, stolen)).status).toBe(200);
    const form = await (await person.ask(url)).text();
    const xsrf = /name="xsrf" value="([\w-]+)"/.exec(form)?.[1] ?? '';
    const done = await person.ask(`${idp.issuer}/session/end/confirm`, { method: 'POST', body: new URLSearchParams({ xsrf, logout: 'yes' }) });
    expect(done.headers.get('location') ?? (await done.text())).toBe(`${broker.url}/`);
    expect(await broker.call('GET', '/v1/whoami', null, undefined, stolen)).toMatchObject({ status: 401, body: { code: 'session_ended' } });
    // Another session of the same person at the provider goes on (control).
    expect((await broker.call('GET', '/v1/whoami', null, undefined, elsewhere.headers())).status).toBe(200);
    await until(async () => (await readFile(broker.stack.auditFile, 'utf8')).includes('ended_by_issuer'));
  });

  it('asks anew who it is where that is wanted', async () => {
    idp.person = { subject: 'olga', roles: ['mayfly-operator'] };
    const person = browser();
    const before = idp.picks;
    await signIn(person);
    await signIn(person);
    expect(idp.picks - before).toBe(1);
    expect((await signIn(person, '?fresh=true')).status).toBe(303);
    expect(idp.picks - before).toBe(2);
  });

  it('works for a client that proves itself by a key, and not by a wrong secret (control)', async () => {
    idp.person = { subject: 'olga', roles: ['mayfly-operator'] };
    await signInAs('by-key', { client_key_file: 'client.pem' });
    expect((await signIn(browser())).status).toBe(303);
    await writeFile(join(broker.stack.directory, 'wrong'), 'wrong', { mode: 0o600 });
    await signInAs('by-secret', { client_secret_file: 'wrong' });
    expect(await (await signIn(browser())).json()).toMatchObject({ code: 'sign_in_refused', detail: expect.stringContaining('did not accept the broker as its client') as unknown });
    await writeFile(join(broker.stack.directory, 'wrong'), 'a secret: with + and / and %', { mode: 0o600 });
    // Read at each sign-in: no restart.
    expect((await signIn(browser())).status).toBe(303);
  }, 60_000);

  describe('at a terminal', () => {
    const AUDIENCE = 'https://mayfly.example.org';
    let home: string;
    const begun: SignInAtTerminal[] = [];
    beforeAll(async () => {
      home = await mkdtemp(join(tmpdir(), 'mayfly-terminal-'));
    });
    afterAll(async () => {
      for (const login of begun) login.close();
      await rm(home, { recursive: true });
    });
    const begin = (...args: readonly string[]): SignInAtTerminal => {
      const login = new SignInAtTerminal(['--addr', broker.url, '--json', ...args], { HOME: home });
      begun.push(login);
      return login;
    };
    const offer = (audience: string, settings: object): Promise<void> =>
      broker.reconfigure((config) => {
        config.operators = { issuer: idp.issuer, audience, cli: { client_id: COMMAND_LINE.client_id, ...settings } };
      });
    const ended = async (login: SignInAtTerminal): Promise<unknown> => ({ code: (await login.ends()).code, login: login.words });
    const signedIn = async (login: SignInAtTerminal): Promise<unknown> => (JSON.parse((await login.ends()).out || JSON.stringify(login.words)) as { login: unknown }).login;
    /** Goes through the issuer with a browser, and comes back over loopback. */
    const through = async (login: SignInAtTerminal): Promise<void> => {
      const url = await login.url();
      const loopback = new URL(url.searchParams.get('redirect_uri') ?? '').origin;
      const back = await new CookieBrowser(loopback).followToBroker(url);
      await fetch(back);
    };

    it('gives an id token where that carries the audience, and an access token for the audience where the issuer is asked for it', async () => {
      idp.person = { subject: 'ada', roles: ['mayfly-admin'] };
      await offer(COMMAND_LINE.client_id, { scopes: ['mayfly'] });
      const first = begin();
      await through(first);
      expect(await signedIn(first)).toMatchObject({ subject: 'ada', role: 'admin' });
      await offer(AUDIENCE, { audience_parameter: 'resource' });
      const second = begin();
      await through(second);
      expect(await signedIn(second)).toMatchObject({ subject: 'ada', role: 'admin' });
      await offer(AUDIENCE, {});
      // Control: it is not asked, and gives none.
      const third = begin();
      await through(third);
      expect(await ended(third)).toEqual({ code: 5, login: expect.stringMatching(/gave no token for https:\/\/mayfly\.example\.org \(operators\.audience\); what it gave is for: unreadable; by-loopback/) as unknown });
    }, 90_000);

    it('goes by a code that is typed elsewhere (RFC 8628)', async () => {
      idp.person = { subject: 'olga', roles: ['mayfly-operator'] };
      await offer(COMMAND_LINE.client_id, { scopes: ['mayfly'] });
      const login = begin('--device');
      const page = (await login.url()).href;
      const [, code = ''] = /the code ([A-Z-]+)/.exec(login.words) ?? [];
      const person = browser();
      const form = await (await person.ask(page)).text();
      const [, xsrf = ''] = /name="xsrf" value="([\w-]+)"/.exec(form) ?? [];
      const entered = await person.ask(page, { method: 'POST', body: new URLSearchParams({ xsrf, user_code: code, confirm: 'yes' }) });
      let at: Response = entered;
      for (let steps = 0; at.headers.get('location') !== null && steps < 10; steps += 1) at = await person.ask(new URL(at.headers.get('location') ?? '', page).href);
      expect(await at.text()).toBe('done');
      expect(await signedIn(login)).toMatchObject({ subject: 'olga', role: 'operator' });
    }, 60_000);
  });

  describe('while strangers flood it', () => {
    const withProxies = (proxies: readonly string[]): Promise<void> =>
      broker.reconfigure((config) => {
        config.http.trusted_proxies = proxies;
        config.operators = { issuer: idp.issuer, audience: 'mayfly-operators', sign_in: { client_id: 'by-secret', client_secret_file: 'client-secret', scopes: ['openid', 'mayfly'], requests_per_minute_per_address: 10, requests_per_minute: 60 } };
      });
    const from = (address: string): RequestInit => ({ headers: { 'X-Forwarded-For': `6.6.6.6, ${address}` }, redirect: 'manual' });
    const ask = (path: string, address: string): Promise<Response> => fetch(`${broker.url}${path}`, from(address));
    const logOut = (address: string): Promise<Response> => fetch(`${broker.url}/auth/back-channel-logout`, { ...from(address), method: 'POST', body: new URLSearchParams({ logout_token: 'none' }) });
    const statuses = async (count: number, one: () => Promise<Response>): Promise<number[]> => {
      const found = [];
      for (let n = 0; n < count; n += 1) found.push((await one()).status);
      return [...new Set(found)];
    };

    it('refuses the address that floods and lets others sign in, and the issuer end sessions', async () => {
      idp.person = { subject: 'olga', roles: ['mayfly-operator'] };
      await withProxies(['127.0.0.1']);
      expect(await statuses(15, () => ask('/auth/callback', '203.0.113.9'))).toEqual([403, 429]);
      const refused = await ask('/auth/sign-in', '203.0.113.9');
      expect([refused.status, Number(refused.headers.get('retry-after')) > 0, await refused.json()]).toEqual([429, true, expect.objectContaining({ code: 'limit_exceeded' })]);
      expect((await ask('/auth/sign-in', '192.0.2.1')).status).toBe(303);

      expect(await statuses(15, () => logOut('203.0.113.9'))).toEqual([400, 429]);
      const late = await logOut('203.0.113.9');
      expect([late.status, late.headers.has('retry-after'), await late.json()]).toEqual([429, true, expect.objectContaining({ error: 'temporarily_unavailable' })]);
      expect((await logOut('192.0.2.1')).status).toBe(400);

      // From the address of this test, which no header names.
      expect((await signIn(browser())).status).toBe(303);
      const page = await broker.metrics();
      for (const labels of ['outcome="signed_in",reason="none"', 'outcome="refused",reason="not_begun"', 'outcome="refused",reason="limited"', 'outcome="logout_refused",reason="bad_token"', 'outcome="logout_refused",reason="limited"']) {
        expect(page).toMatch(new RegExp(`^mayfly_sign_ins_total\\{${labels}\\} [1-9]`, 'm'));
      }
    }, 60_000);

    it('believes no header of whoever is no trusted proxy: all that it names is one address (control)', async () => {
      await withProxies([]);
      let n = 0;
      expect(await statuses(15, () => ask('/auth/callback', `192.0.2.${(n += 1)}`))).toEqual([403, 429]);
    }, 60_000);
  });

  it('says plainly that the issuer is away; tokens and sessions that are good stay good', async () => {
    idp.person = { subject: 'olga', roles: ['mayfly-operator'] };
    await signInAs('by-key', { client_key_file: 'client.pem' });
    const person = browser();
    await signIn(person);
    const late = browser();
    const back = await late.followToBroker(await late.beginSignIn());
    await idp.stop();
    const page = await late.ask(back.href, { headers: { Accept: 'text/html,application/xhtml+xml' } });
    expect([page.status, page.headers.get('content-type')]).toEqual([503, 'text/html; charset=utf-8']);
    expect(await page.text()).toContain('nobody can sign in now');
    expect((await person.ask('/v1/whoami')).status).toBe(200);
  });
});
