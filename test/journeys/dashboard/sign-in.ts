import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, expect, it } from '@jest/globals';
import type { Page } from 'playwright-core';
import type { BrowserWorld } from '../../support/browser-world.ts';
import { until } from '../../support/until.ts';

/** How a person signs in with Chromium, and what other pages of the same browser can do with that. */
export function signIn(world: BrowserWorld): void {
  let page: Page;
  /** Serves a page of somebody else: on another port it is a neighbour (same site), under another name a stranger. */
  let elsewhere: Server;

  beforeAll(async () => {
    elsewhere = createServer((request, response) => {
      const frame = `<iframe src="${world.broker.url}/"></iframe>`;
      const form = `<form method="post" action="${world.broker.url}/auth/sign-out"><button>win a prize</button></form>`;
      response.writeHead(200, { 'Content-Type': 'text/html' }).end(`<!doctype html><title>elsewhere</title>${request.url === '/frame' ? frame : form}`);
    }).listen(0);
    await once(elsewhere, 'listening');
  });

  afterAll(() => {
    elsewhere.close();
    elsewhere.closeAllConnections();
  });

  beforeEach(async () => {
    page = await (await world.context()).newPage();
  });

  const urlElsewhere = (host: string, path = '/'): string => `http://${host}:${(elsewhere.address() as AddressInfo).port}${path}`;

  async function signIn(person: string): Promise<void> {
    await page.goto(`${world.broker.url}/auth/sign-in?return_to=/`);
    await page.getByRole('button', { name: person }).click();
    await page.waitForURL(`${world.broker.url}/**`);
  }
  /** What the page itself is told, with the browser's own cookies and headers. */
  const ask = (path: string, init: { readonly method?: string; readonly headers?: Record<string, string> } = {}): Promise<{ status: number; body: unknown }> =>
    page.evaluate(
      async ([url, options]) => {
        const response = await fetch(url, options);
        return { status: response.status, body: await response.json() };
      },
      [path, init] as const,
    );

  it.each([
    ['vera', 'viewer'],
    ['olga', 'operator'],
    ['oskar', 'operator'],
    ['ada', 'admin'],
  ])('makes %s a %s, by a cookie that no script sees', async (person, role) => {
    await signIn(person);
    expect(await ask('/v1/whoami')).toMatchObject({ status: 200, body: { caller: { subject: person, role } } });
    expect(await page.evaluate('document.cookie')).toBe('');
    expect((await page.context().cookies(world.broker.url)).find(({ name }) => name === '__Host-mayfly')).toMatchObject({ httpOnly: true, secure: true, sameSite: 'Lax' });
  });

  it('tells a person without a role in plain words', async () => {
    await signIn('nora');
    expect(await page.getByRole('main').innerText()).toContain('knows you as nora');
    expect((await page.context().cookies(world.broker.url)).map(({ name }) => name)).toEqual([]);
  });

  it('lets the own page sign out, and not the page of a neighbour or a stranger', async () => {
    await signIn('olga');
    for (const [host, code] of [['127.0.0.1', 'cross_site_request'], ['localhost', undefined]] as const) {
      await page.goto(urlElsewhere(host));
      const [answer] = await Promise.all([page.waitForResponse(`${world.broker.url}/auth/sign-out`), page.getByRole('button').click()]);
      // A neighbour's form comes with the cookie, and is refused; a stranger's comes without it, has nothing to end, and must not take the cookie.
      expect([host, ((await answer.json()) as { code?: string }).code]).toEqual([host, code]);
    }
    await page.goto(world.broker.url);
    expect((await ask('/v1/whoami')).status).toBe(200);
    expect((await ask('/auth/sign-out', { method: 'POST', headers: { 'X-Mayfly-Request': 'dashboard' } })).status).toBe(200);
    expect((await ask('/v1/whoami')).status).toBe(401);
  });

  it('is not kept alive by the page itself: only what its person does counts', async () => {
    const purposes = (path: string): Set<string | undefined> => new Set(seen.filter(({ url }) => url.includes(path)).map(({ purpose }) => purpose));
    const seen: { readonly url: string; readonly purpose: string | undefined }[] = [];
    page.on('request', (request) => seen.push({ url: request.url(), purpose: request.headers()['x-mayfly-request'] }));
    await signIn('olga');
    await page.reload();
    seen.length = 0;
    await page.reload();
    await until(() => purposes('/v1/events').size > 0);
    expect([...purposes('/v1/')]).toEqual(['background']);
    await page.getByRole('button', { name: 'Sign out' }).click();
    await until(() => purposes('/auth/sign-out').size > 0);
    expect([...purposes('/auth/sign-out')]).toEqual(['dashboard']);
  });

  it('shows itself in no frame of another page', async () => {
    await signIn('olga');
    await page.goto(urlElsewhere('127.0.0.1', '/frame'));
    const [, frame] = page.frames();
    await frame?.waitForLoadState();
    expect(frame?.url()).toMatch(/^chrome-error:/);
  });
}
