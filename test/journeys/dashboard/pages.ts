import { beforeAll, expect, it } from '@jest/globals';
import { AGENT } from '../../../dev/dev-identities.ts';
import type { BrowserWorld } from '../../support/browser-world.ts';
import { openPage } from '../../support/chromium.ts';
import { waitingTask } from '../../support/dashboard-page.ts';
import { until } from '../../support/until.ts';
import { accessibility } from './accessibility.ts';

/** Would say so if any of it ever ran. */
const MARKUP = '<img src=x onerror="window.pwned=1"><b>bold</b>';
const pagesOf = (task: string): Readonly<Record<string, string>> => ({
  overview: '', leases: 'leases', task: `tasks/${task}`, approvals: 'approvals', locks: 'locks', agents: 'agents', denials: 'denials', audit: `audit?agent=${encodeURIComponent(AGENT)}`,
});

/** Every page: what agents write is text on it, and everybody can read and use it. */
export function pages(world: BrowserWorld): void {
  /** A task with everything that its agent can write, in markup. */
  let marked: string;

  beforeAll(async () => {
    const { broker } = world;
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
  });

  // The policy of the page is off: it must hold without. That the text would run as markup there is shown first.
  it('turns nothing that an agent writes into markup, even where nothing else would stop it', async () => {
    const ui = await world.opened({ bypassCSP: true });
    await ui.page.evaluate(`document.body.insertAdjacentHTML('beforeend', ${JSON.stringify(MARKUP)})`);
    await until(async () => (await ui.page.evaluate('window.pwned')) === 1, { what: 'the control: markup runs where it becomes markup' });
    await ui.page.reload();
    await ui.signIn('operator');
    for (const [view, place] of Object.entries(pagesOf(marked))) {
      await ui.go(place);
      if (view !== 'overview' && view !== 'agents' && view !== 'leases') await ui.page.locator('main').getByText(/<img src=x/).first().waitFor({ state: 'attached' });
      expect(await ui.page.locator('main b, main img').count()).toBe(0);
    }
    await ui.go('');
    await world.broker.call('POST', '/v1/tasks', await world.broker.agentToken(`agent:${MARKUP}`), { purpose: 'refund-investigation', actions: ['read'], credentials: [{ name: 'vault-token' }] });
    await ui.page.locator('.events').getByText(/<img src=x/).first().waitFor();
    expect(await ui.page.evaluate('window.pwned')).toBeUndefined();
    expect(ui.faults).toEqual([]);
  }, 60_000);

  it('has a policy that refuses such markup too, and every other origin', async () => {
    const { page, faults } = await openPage(await world.context(), world.broker.url);
    const refused = await page.evaluate<string>(`try { document.body.insertAdjacentHTML('beforeend', ${JSON.stringify(MARKUP)}); 'taken' } catch (error) { error.name }`);
    expect(refused).toBe('TypeError');
    expect(await page.evaluate('window.pwned')).toBeUndefined();
    expect(await page.evaluate<string>("fetch('http://127.0.0.1:9/').then(() => 'sent', () => 'refused')")).toBe('refused');
    expect(faults.some((fault) => fault.includes('Content Security Policy'))).toBe(true);
    expect(await page.evaluate<string>(`new Promise((resolve) => { const frame = document.createElement('iframe'); frame.src = ${JSON.stringify(world.broker.url)}; frame.onload = () => resolve(String(frame.contentDocument?.body?.children.length ?? 'refused')); document.body.append(frame); setTimeout(() => resolve('refused'), 2000); })`)).not.toMatch(/[1-9]/);
  });

  it('keeps its colours where its reader says so, and its single keys off', async () => {
    const ui = await world.opened({ colorScheme: 'light' });
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
  });

  it('lists every record of the audit log, what the sealer itself has to say among them', async () => {
    const ui = await world.as('viewer');
    await ui.go('audit?type=sealer.started');
    await ui.page.locator('.records [data-type="sealer.started"]').first().getByText('audit log goes on').waitFor();
    expect(await ui.page.locator('.records time').first().textContent()).toMatch(/\d\d:\d\d:\d\d/);
  });

  accessibility(world, () => pagesOf(marked));
}
