// The pictures of docs/images: a real stack with something going on, looked at in Debian's Chromium.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Page } from 'playwright-core';
import { AGENT, ORCHESTRATOR, SECOND_AGENT } from '../../dev/dev-identities.ts';
import { at } from './at.ts';
import { buildDashboard } from './build-dashboard.ts';
import { startChromium } from './chromium.ts';
import { openDashboard, waitingTask } from './dashboard-page.ts';
import { RunningBroker } from './running-broker.ts';
import { until } from './until.ts';

const FOLDER = resolve(process.argv[2] ?? join(import.meta.dirname, '../../docs/images'));
/** As small as it gets with legible text; `png` for who wants to look closely. */
const FORMAT = process.argv[3] === 'png' ? 'png' : 'webp';
const [WIDE, NARROW] = [{ width: 1_280, height: 860 }, { width: 360, height: 740 }];

/** What there is to see: leases of several kinds and ages, a tree, something refused, locked, waiting, and stuck. */
async function play(broker: RunningBroker): Promise<{ readonly task: string }> {
  const refund = { justification: 'order 99 disputed', ticket: 'OPS-12', data_classes: ['pii'], context: { tool: 'sql.query' } };
  for (const ttlSeconds of [90, 240, 420, 700, 900, 1_300, 1_700, 2_400, 3_000]) {
    // With personal data a credential lives 15 minutes at most.
    await broker.grant(['vault-token', 'task-reference'], { ttlSeconds, fields: ttlSeconds <= 900 ? refund : {} });
    if (ttlSeconds < 600) await broker.grant(['task-token', 'vault-token'], { ttlSeconds, token: await broker.agentToken(SECOND_AGENT) });
  }
  const ended = await Promise.all([1, 2, 3, 4, 5, 6].map(() => broker.grant(['orders-db', 'vault-token'])));
  for (const grant of ended) await broker.complete(grant);
  const parent = await broker.grant(['orders-db', 'vault-token', 'task-reference'], { ttlSeconds: 840, fields: { ...refund, heartbeat_seconds: 300 } });
  const second = await broker.agentToken(SECOND_AGENT);
  const delegated = await broker.call('POST', `/v1/tasks/${parent.id}/delegate`, parent.token, { agent: SECOND_AGENT, actions: ['read'], ttl_seconds: 300, credentials: [{ name: 'orders-db', ttl_seconds: 300 }] });
  const child = (delegated.body['task'] as { id: string }).id;
  await broker.call('POST', `/v1/tasks/${child}/claim`, second, {});
  await broker.call('POST', `/v1/tasks/${child}/complete`, second, { outcome: 'succeeded' });
  await broker.call('POST', '/v1/revocations', await broker.operatorToken(), { selector: { lease: at(parent.credentials, 1).lease_id }, reason: 'seen in a log' });
  for (const purpose of ['marketing', 'support-triage']) await broker.call('POST', '/v1/tasks', parent.token, { purpose, actions: ['read'], credentials: [{ name: 'vault-token' }] });
  await waitingTask(broker, 'the quarterly report for the auditors');
  const soon = new Date(Date.now() + 3_600_000).toISOString();
  await broker.call('POST', '/v1/locks', await broker.operatorToken(), { selector: { agent: ORCHESTRATOR }, reason: 'its signing key is being rotated', until: soon });
  return { task: parent.id };
}

/** One lease whose end nobody can confirm: its database is gone. */
async function breakOne(broker: RunningBroker): Promise<void> {
  const grant = await broker.grant(['orders-db'], { ttlSeconds: 1_200 });
  await broker.stack.postgres?.stop();
  const lease = at(grant.credentials, 0).lease_id;
  const operator = await broker.operatorToken();
  await broker.call('POST', '/v1/revocations', operator, { selector: { lease }, reason: 'drill' });
  await until(async () => ((await broker.call('GET', `/v1/leases/${lease}`, operator)).body['lease'] as { state: string }).state === 'stuck', { timeoutMs: 30_000 });
}

async function keep(page: Page, name: string): Promise<void> {
  const devtools = await page.context().newCDPSession(page);
  const { data } = await devtools.send('Page.captureScreenshot', FORMAT === 'png' ? { format: 'png' } : { format: 'webp', quality: 84 });
  writeFileSync(join(FOLDER, `${name}.${FORMAT}`), Buffer.from(data, 'base64'));
}

/** What a page has once it is there. */
const SHOWN: Readonly<Record<string, string>> = {
  overview: '.verdict', 'overview-stuck': '.verdict[data-tone="bad"]', leases: '.lease-rows [data-index="3"] .left-text', task: '.tree [data-task]', approvals: '.approval', locks: '[data-lock]', agents: 'tr[data-agent]', denials: '.records li', audit: '.story li',
};

mkdirSync(FOLDER, { recursive: true });
await buildDashboard();
const broker = await RunningBroker.start({ limits: { waiting_approvals_per_agent: 10 }, revocation: { stuck_after_seconds: 2, retry_first_ms: 300, retry_max_ms: 1_000 } });
const browser = await startChromium();
try {
  const { task } = await play(broker);
  const views = { leases: 'leases', task: `tasks/${task}`, approvals: 'approvals', locks: 'locks', agents: 'agents', denials: 'denials', audit: `audit?agent=${encodeURIComponent(AGENT)}` };
  const shots: Record<string, string> = { overview: '', ...views };

  const shoot = async (names: Readonly<Record<string, string>>, theme: 'light' | 'dark', size: typeof WIDE, suffix: string): Promise<void> => {
    const context = await browser.newContext({ viewport: size, colorScheme: theme, reducedMotion: 'reduce' });
    const ui = await openDashboard(context, broker);
    await ui.signIn('operator');
    for (const [name, place] of Object.entries(names)) {
      await ui.go(place);
      await ui.page.locator(SHOWN[name] ?? 'main').first().waitFor({ timeout: 20_000 });
      await keep(ui.page, `${name}-${theme}${suffix}`);
    }
    await context.close();
  };
  for (const theme of ['light', 'dark'] as const) await shoot(shots, theme, WIDE, '');
  await shoot(shots, 'light', NARROW, '-360');

  const context = await browser.newContext({ viewport: WIDE, colorScheme: 'light', reducedMotion: 'reduce' });
  const ui = await openDashboard(context, broker);
  await ui.page.locator('.sign-in').waitFor();
  await keep(ui.page, 'sign-in-light');
  await ui.signIn('operator');
  await ui.go('leases');
  await ui.page.locator('.lease-rows button.revoke:enabled').first().click();
  await ui.page.getByLabel('everything of').check();
  await ui.page.locator('.would-end:not([data-would-end=""])').waitFor();
  await keep(ui.page, 'revoke-light');
  await context.close();

  await breakOne(broker);
  for (const theme of ['light', 'dark'] as const) await shoot({ 'overview-stuck': '' }, theme, WIDE, '');
} finally {
  await browser.close();
  await broker.stop();
}
