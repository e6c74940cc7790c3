import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Browser, BrowserContext } from 'playwright-core';
import { AGENT } from '../../dev/dev-identities.ts';
import { at } from '../support/at.ts';
import { buildDashboard } from '../support/build-dashboard.ts';
import { chromiumPath, openPage, startChromium } from '../support/chromium.ts';
import { oneLease, openDashboard, waitingTask } from '../support/dashboard-page.ts';
import { seedLeases } from '../support/many-leases.ts';
import { RunningBroker } from '../support/running-broker.ts';
import { until } from '../support/until.ts';

/** Without a browser these are skipped, by name. */
const inChromium = chromiumPath === undefined ? describe.skip : describe;

const MANY = 50_000;
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
/** Would say so if any of it ever ran. */
const MARKUP = '<img src=x onerror="window.pwned=1"><b>bold</b>';
const PAGES = (task: string): Readonly<Record<string, string>> => ({
  overview: '', leases: 'leases', task: `tasks/${task}`, approvals: 'approvals', locks: 'locks', agents: 'agents', denials: 'denials', audit: `audit?agent=${encodeURIComponent(AGENT)}`,
});

inChromium('the pages of the dashboard in Chromium', () => {
  let broker: RunningBroker;
  let browser: Browser;
  /** A task with everything that its agent can write, in markup. */
  let marked: string;

  beforeAll(async () => {
    await buildDashboard();
    broker = await RunningBroker.start({ limits: { waiting_approvals_per_agent: 10 } });
    browser = await startChromium();
    // All else that an agent can write has a shape that no markup fits: tickets, keys, purposes.
    const words = { justification: MARKUP, context: { note: MARKUP } };
    const grant = await broker.grant(['vault-token', 'task-token'], { fields: words });
    marked = grant.id;
    const token = grant.token;
    await broker.call('POST', `/v1/tasks/${marked}/credentials`, token, { name: 'task-reference', ttl_seconds: 60, tool_call: { id: 'c1', tool: MARKUP.slice(0, 60) } });
    await broker.call('POST', `/v1/tasks/${marked}/tool-calls`, token, { id: 'c1', tool: MARKUP.slice(0, 60), outcome: 'succeeded' });
    await waitingTask(broker, MARKUP);
    // Refused, and on the record all the same: whoever signs its tokens can call itself anything.
    const stranger = await broker.agentToken(`agent:${MARKUP}`);
    await broker.call('POST', '/v1/tasks', stranger, { purpose: 'refund-investigation', actions: ['read'], credentials: [{ name: 'vault-token' }], ...words });
    await broker.call('POST', '/v1/locks', await broker.operatorToken(), { selector: { agent: `agent:${MARKUP}` }, reason: MARKUP, until: new Date(Date.now() + 3_600_000).toISOString() });
  }, 90_000);

  afterAll(async () => {
    await browser.close();
    await broker.stop();
  }, 30_000);

  async function inContext<T>(options: Parameters<Browser['newContext']>[0], use: (context: BrowserContext) => Promise<T>): Promise<T> {
    const context = await browser.newContext(options);
    context.setDefaultTimeout(15_000);
    try {
      return await use(context);
    } finally {
      await context.close();
    }
  }

  // The policy of the page is off: it must hold without. That the text would run as markup there is shown first.
  it('turns nothing that an agent writes into markup, even where nothing else would stop it', () =>
    inContext({ bypassCSP: true }, async (context) => {
      const ui = await openDashboard(context, broker);
      await ui.page.evaluate(`document.body.insertAdjacentHTML('beforeend', ${JSON.stringify(MARKUP)})`);
      await until(async () => (await ui.page.evaluate('window.pwned')) === 1, { what: 'the control: markup runs where it becomes markup' });
      await ui.page.reload();
      await ui.signIn('operator');
      for (const [view, place] of Object.entries(PAGES(marked))) {
        await ui.go(place);
        if (view !== 'overview' && view !== 'agents' && view !== 'leases') await ui.page.locator('main').getByText(/<img src=x/).first().waitFor({ state: 'attached' });
        expect(await ui.page.locator('main b, main img').count()).toBe(0);
      }
      await ui.go('');
      await broker.call('POST', '/v1/tasks', await broker.agentToken(`agent:${MARKUP}`), { purpose: 'refund-investigation', actions: ['read'], credentials: [{ name: 'vault-token' }] });
      await ui.page.locator('.events').getByText(/<img src=x/).first().waitFor();
      expect(await ui.page.evaluate('window.pwned')).toBeUndefined();
      expect(ui.faults).toEqual([]);
    }), 60_000);

  it('has a policy that refuses such markup too, and every other origin', () =>
    inContext({}, async (context) => {
      const { page, faults } = await openPage(context, broker.url);
      const refused = await page.evaluate<string>(`try { document.body.insertAdjacentHTML('beforeend', ${JSON.stringify(MARKUP)}); 'taken' } catch (error) { error.name }`);
      expect(refused).toBe('TypeError');
      expect(await page.evaluate('window.pwned')).toBeUndefined();
      expect(await page.evaluate<string>("fetch('http://127.0.0.1:9/').then(() => 'sent', () => 'refused')")).toBe('refused');
      expect(faults.some((fault) => fault.includes('Content Security Policy'))).toBe(true);
      expect(await page.evaluate<string>(`new Promise((resolve) => { const frame = document.createElement('iframe'); frame.src = ${JSON.stringify(broker.url)}; frame.onload = () => resolve(String(frame.contentDocument?.body?.children.length ?? 'refused')); document.body.append(frame); setTimeout(() => resolve('refused'), 2000); })`)).not.toMatch(/[1-9]/);
    }));

  it.each([['light', 1_280], ['dark', 1_280], ['light', 360], ['dark', 360]] as const)('has nothing serious for axe to find, and nothing to scroll sideways: %s, %i px', (colorScheme, width) =>
    inContext({ bypassCSP: true, colorScheme, viewport: { width, height: 740 }, reducedMotion: 'reduce' }, async (context) => {
      const ui = await openDashboard(context, broker);
      const { lease, id, token } = await oneLease(broker);
      const found: string[] = [];
      const look = async (where: string): Promise<void> => {
        await ui.page.evaluate(AXE);
        const { violations } = await ui.page.evaluate<{ violations: { id: string; impact: string; nodes: { html: string; failureSummary: string }[] }[] }>('axe.run(document, { resultTypes: ["violations"] })');
        found.push(...violations.filter(({ impact }) => impact === 'serious' || impact === 'critical').map((one) => `${where}: ${one.id} ${at(one.nodes, 0).html.slice(0, 160)} ${at(one.nodes, 0).failureSummary.slice(0, 300)}`));
        expect([where, await ui.page.evaluate<number>('document.documentElement.scrollWidth')]).toEqual([where, width]);
      };
      await look('sign-in');
      await ui.signIn('operator');
      for (const [view, place] of Object.entries(PAGES(marked))) {
        await ui.go(place);
        if (view === 'leases') await ui.row(lease).waitFor();
        else await ui.page.locator('main h2, main h3').first().waitFor({ state: 'attached' });
        await look(view);
      }
      await ui.page.evaluate("document.querySelector('main').focus()");
      await ui.page.keyboard.press('?');
      await ui.dialog.waitFor();
      await look('help');
      await ui.page.keyboard.press('Escape');
      await ui.go('leases');
      await ui.row(lease).locator('button.revoke:enabled').click();
      await ui.dialog.getByText('1 lease would end').waitFor();
      await look('revoke');
      const [ground, text] = await ui.page.evaluate<[string, string]>('[getComputedStyle(document.documentElement).backgroundColor, getComputedStyle(document.documentElement).color]');
      const lightness = (color: string): number => (color.match(/\d+/g) ?? []).slice(0, 3).map(Number).reduce((a, b) => a + b, 0);
      expect(lightness(ground) > lightness(text)).toBe(colorScheme === 'light');
      expect(found).toEqual([]);
      await broker.complete({ id, token });
    }), 60_000);

  it('has a target of 24 px for every control, at any width', () =>
    inContext({ viewport: { width: 360, height: 740 } }, async (context) => {
      const ui = await openDashboard(context, broker);
      await ui.signIn('operator');
      for (const place of ['', 'leases', 'approvals', 'locks', 'agents']) {
        await ui.go(place);
        await ui.page.locator('main button, main a, main summary').first().waitFor();
        const small = await ui.page.evaluate<string[]>(
          "[...document.querySelectorAll('button, select, input, summary, nav a')].filter((one) => one.checkVisibility()).map((one) => [one, one.getBoundingClientRect(), one.closest('.pick')?.getBoundingClientRect()]).filter(([, box, cell]) => Math.min(cell?.width ?? box.width, cell?.height ?? box.height) < 24).map(([one]) => one.outerHTML.slice(0, 120))",
        );
        expect([place, small]).toEqual([place, []]);
      }
    }));

  it('keeps its colours where its reader says so, and its single keys off', () =>
    inContext({ colorScheme: 'light' }, async (context) => {
      const ui = await openDashboard(context, broker);
      await ui.signIn('viewer');
      await ui.page.locator('.theme select').selectOption('dark');
      await ui.page.locator('.theme select').focus();
      await ui.page.keyboard.press('?');
      // The select has the focus: who chooses is not typing a command.
      expect(await ui.dialog.count()).toBe(0);
      await ui.page.locator('.verdict-title').click();
      await ui.page.keyboard.press('?');
      await ui.dialog.getByLabel('single keys act').uncheck();
      await ui.page.keyboard.press('Escape');
      await ui.page.reload();
      await ui.page.locator('.connection[data-state="on"]').waitFor();
      expect(await ui.page.evaluate('getComputedStyle(document.documentElement).colorScheme')).toBe('dark');
      await ui.page.keyboard.press('?');
      await ui.page.keyboard.press('g');
      await ui.page.keyboard.press('l');
      expect(await ui.dialog.count()).toBe(0);
      expect(await ui.page.locator('main').getAttribute('data-view')).toBe('overview');
    }));

  // The last one: everything after it would have to look through them.
  it('lists 50,000 leases and draws only those that can be seen, from the first to the last', () =>
    inContext({ viewport: { width: 1_280, height: 800 } }, async (context) => {
      await seedLeases(broker, MANY);
      const ui = await openDashboard(context, broker);
      await ui.signIn('operator');
      await ui.go('leases');
      await ui.page.locator('.lease-rows [data-index="3"]').waitFor();
      const grid = ui.page.locator('[role="grid"]');
      await until(async () => Number(await grid.getAttribute('aria-rowcount')) > MANY);
      await ui.page.locator('.lease-rows [data-index="0"]').focus();
      // Further down is loaded as far as somebody goes.
      await ui.page.evaluate("document.querySelector('.lease-scroller').scrollTop = 1e9");
      await until(async () => (await ui.page.locator('.lease-row.placeholder').count()) === 0 && Number(await ui.page.locator('.lease-rows [data-index]').last().getAttribute('data-index')) > MANY - 2, { timeoutMs: 60_000, what: 'the last lease is on the page' });
      expect(await ui.page.locator('.lease-rows > [role="row"]').count()).toBeLessThan(80);
      await ui.page.locator('.lease-rows [data-index]').last().focus();
      await ui.page.keyboard.press('Home');
      await ui.page.locator('.lease-rows [data-index="0"]:focus').waitFor();
      // Still live among so many: one that begins now is in its place, and gone when it has ended.
      const { lease, id, token } = await oneLease(broker, 120);
      await ui.row(lease).waitFor();
      await broker.complete({ id, token });
      await ui.row(lease).waitFor({ state: 'detached' });
      await ui.go('leases?agent=agent%3Aworker-7');
      await until(async () => (await ui.page.locator('.lease-rows .agent').allTextContents()).every((name) => name === 'agent:worker-7') && (await ui.page.locator('.lease-rows .agent').count()) > 5);
      await ui.go('leases?credential=task-token');
      // Half of them, and perhaps one of a test before.
      await until(async () => Math.abs(Number(await grid.getAttribute('aria-rowcount')) - 1 - MANY / 2) <= 4, { what: 'the filter is counted' });
      expect(ui.faults).toEqual([]);
    }), 120_000);
});
