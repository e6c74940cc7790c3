import type { BrowserContext, Locator, Page } from 'playwright-core';
import { at } from './at.ts';
import { openPage } from './chromium.ts';
import type { HttpAnswer, RunningBroker } from './running-broker.ts';

/** The dashboard in a browser, as its reader uses it. */
export interface DashboardPage {
  readonly page: Page;
  /** What went wrong in it: errors, refusals of its own policy. */
  readonly faults: string[];
  readonly urls: string[];
  readonly signIn: (role: 'viewer' | 'operator' | 'admin', token?: string) => Promise<string>;
  /** Goes to a place: `leases?agent=x`. */
  readonly go: (place: string) => Promise<void>;
  readonly row: (lease: string) => Locator;
  readonly card: (task: string) => Locator;
  readonly dialog: Locator;
  /** Of the dialog: the field for what goes on the record, and the button that does it. */
  readonly reason: Locator;
  readonly confirm: Locator;
  readonly secondsLeft: (lease: string) => Promise<number>;
}

export async function openDashboard(context: BrowserContext, broker: RunningBroker): Promise<DashboardPage> {
  const { page, faults, urls } = await openPage(context, broker.url);
  const row = (lease: string): Locator => page.locator(`.lease-rows [data-lease="${lease}"]`);
  const dialog = page.locator('dialog[open]');
  return {
    page,
    faults,
    urls,
    row,
    card: (task) => page.locator(`.approvals [data-task="${task}"]`),
    dialog,
    reason: dialog.locator('[data-field="reason"]'),
    confirm: dialog.locator('button[type="submit"]'),
    async signIn(role, token) {
      const pasted = token ?? (await broker.operatorToken(role));
      await showTokenField(page);
      await page.locator('#token').fill(pasted);
      await page.keyboard.press('Enter');
      await page.locator('.connection[data-state="on"]').waitFor();
      return pasted;
    },
    async go(place) {
      const view = place.split(/[/?]/)[0] ?? '';
      await page.evaluate(`location.hash = ${JSON.stringify(`#/${place}`)}`);
      await page.locator(`main[data-view="${view === '' ? 'overview' : view}"]`).waitFor();
    },
    async secondsLeft(lease) {
      const [minutes = 0, seconds = 0] = ((await row(lease).locator('.left-text').textContent()) ?? '').split(':').map(Number);
      return 60 * minutes + seconds;
    },
  };
}

/** Where people sign in with an identity provider, the field for a token is folded away. */
export async function showTokenField(page: Page): Promise<void> {
  await page.locator('.sign-in').waitFor();
  const folded = page.locator('.sign-in details:not([open]) summary');
  if ((await folded.count()) > 0) await folded.click();
}

/** A lease of its own task. */
export async function oneLease(broker: RunningBroker, ttlSeconds = 300): Promise<{ readonly lease: string; readonly id: string; readonly token: string }> {
  const grant = await broker.grant(['vault-token'], { ttlSeconds });
  return { lease: at(grant.credentials, 0).lease_id, id: grant.id, token: grant.token };
}

/** A task that waits for one human. */
export async function waitingTask(broker: RunningBroker, justification = 'the quarterly report'): Promise<string> {
  const fields = { purpose: 'data-export', justification, actions: ['export'], data_classes: ['pii'], context: { case: 'c-1' }, ttl_seconds: 600, heartbeat_seconds: 60, credentials: [{ name: 'orders-db', ttl_seconds: 300 }] };
  const { status, body }: HttpAnswer = await broker.call('POST', '/v1/tasks', await broker.agentToken(), fields);
  if (status !== 202) throw new Error(`the task does not wait: ${status} ${JSON.stringify(body)}`);
  return (body['task'] as { id: string }).id;
}

export const leaseState = async (broker: RunningBroker, lease: string): Promise<string> => ((await broker.call('GET', `/v1/leases/${lease}`, await broker.operatorToken('viewer'))).body['lease'] as { state: string }).state;
export const taskState = async (broker: RunningBroker, id: string): Promise<string> => ((await broker.call('GET', `/v1/tasks/${id}`, await broker.agentToken())).body['task'] as { state: string }).state;
