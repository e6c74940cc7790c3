import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { SECOND_AGENT } from '../../dev/dev-identities.ts';
import { at } from '../support/at.ts';
import { BrowserWorld } from '../support/browser-world.ts';
import { chromiumPath } from '../support/chromium.ts';
import { leaseState, oneLease, openDashboard, taskState, waitingTask, type DashboardPage } from '../support/dashboard-page.ts';
import { until } from '../support/until.ts';
import { admin, FORGOTTEN, lostLedger } from './dashboard/admin.ts';
import { approvalsAndLocks } from './dashboard/approvals-and-locks.ts';
import { connection } from './dashboard/connection.ts';
import { manyLeases } from './dashboard/many-leases.ts';
import { pages } from './dashboard/pages.ts';
import { signIn } from './dashboard/sign-in.ts';
import { tokens } from './dashboard/tokens.ts';
import { trouble } from './dashboard/trouble.ts';

/** Without a browser these are skipped, by name. */
const inChromium = chromiumPath === undefined ? describe.skip : describe;

/** One stack and one Chromium for all of them; chapters are in files of their own. */
inChromium('the dashboard in Chromium', () => {
  const world = new BrowserWorld();
  let folder: string;
  /** Signed in with a token that is good for a few seconds. */
  let ended: DashboardPage;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mayfly-webhook-secret-'));
    const secretFile = join(folder, 'secret');
    await writeFile(secretFile, `whsec_${randomBytes(32).toString('base64')}`);
    await world.start(secretFile);
    ended = await openDashboard(await world.browser.newContext(), world.broker);
    await ended.signIn('viewer', await world.broker.stack.operators.sign({ subject: 'vera', claims: { roles: ['mayfly-viewer'] }, lifetimeSeconds: 4 }));
  }, 90_000);

  afterAll(async () => {
    await world.stop();
    await rm(folder, { recursive: true, force: true });
  }, 30_000);

  afterEach(async () => expect(await world.tidy()).toEqual([]));

  it('tells who has no lease how to make the first one', async () => {
    const ui = await world.as('viewer');
    await ui.go('leases');
    await ui.page.getByText('mayfly request --purpose').waitFor();
  });

  it('shows a lease that counts down by the clock of the broker, an hour off this one, and vanishes when it has ended', async () => {
    const ui = await world.opened();
    await ui.page.clock.install({ time: Date.now() + 3_600_000 });
    await ui.page.reload();
    await ui.signIn('viewer');
    await ui.go('leases');
    const { lease } = await oneLease(world.broker, 6);
    await ui.row(lease).waitFor();
    let first = Number.NaN;
    await until(async () => !Number.isNaN((first = await ui.secondsLeft(lease))), { what: 'the row counts' });
    expect(first).toBeLessThanOrEqual(6);
    await until(async () => (await ui.secondsLeft(lease)) < first, { what: 'the countdown moves' });
    await ui.row(lease).waitFor({ state: 'detached', timeout: 40_000 });
    expect(await leaseState(world.broker, lease)).toBe('revoked');
    expect(ui.faults).toEqual([]);
  }, 90_000);

  it('lets an operator revoke, by keyboard alone, with a reason that goes on the record, and shows what became of it', async () => {
    const ui = await world.as('operator');
    const { page } = ui;
    const { lease } = await oneLease(world.broker);
    await page.keyboard.press('g');
    await page.keyboard.press('l');
    await ui.row(lease).locator('button.revoke:enabled').waitFor();
    // Skip link and head come first; the table is one stop.
    await until(async () => {
      await page.keyboard.press('Tab');
      return (await page.evaluate('document.activeElement.getAttribute("role")')) === 'row';
    });
    await page.keyboard.press('r');
    await ui.dialog.waitFor();
    await page.keyboard.press('Escape');
    await ui.dialog.waitFor({ state: 'hidden' });
    expect(await leaseState(world.broker, lease)).toBe('active');
    expect(await page.evaluate('document.activeElement.dataset.lease')).toBe(lease);
    await page.keyboard.press('r');
    await ui.dialog.getByText('1 lease would end').waitFor();
    await ui.reason.focus();
    await page.keyboard.type('seen in a log');
    await page.keyboard.press('Enter');
    await page.locator('.results[data-done="true"]').waitFor();
    expect(await ui.dialog.locator(`[data-lease="${lease}"]`).textContent()).toMatch(/revoked.*no more/);
    await page.keyboard.press('Escape');
    await ui.row(lease).waitFor({ state: 'detached' });
    expect(await leaseState(world.broker, lease)).toBe('revoked');
  });

  it('revokes a selection with the keys, and says of each until when it can be used', async () => {
    const ui = await world.as('operator');
    const { page } = ui;
    const grant = await world.broker.grant(['vault-token', 'task-token']);
    const other = await oneLease(world.broker);
    await ui.go(`leases?task=${grant.id}`);
    await page.locator('.lease-rows [data-lease]').nth(1).waitFor();
    expect(await ui.row(other.lease).count()).toBe(0);
    await page.locator('.lease-rows [data-index="0"]').focus();
    await page.keyboard.press('Shift+ArrowDown');
    await page.getByRole('button', { name: 'Revoke 2 selected' }).waitFor();
    await page.keyboard.press('r');
    await ui.dialog.getByText('1 of them cannot be ended at once').waitFor();
    await ui.reason.fill('drill');
    await page.keyboard.press('Enter');
    // A self-contained token of `jwt` dies of its own expiry alone.
    await ui.dialog.getByText(/may live until \d/).waitFor();
    await until(async () => (await leaseState(world.broker, at(grant.credentials, 0).lease_id)) === 'revoked');
    expect(await leaseState(world.broker, other.lease)).toBe('active');
    await Promise.all([grant, other].map((one) => world.broker.complete(one)));
  });

  it('ends a subtree of many only when its count is typed', async () => {
    const ui = await world.as('operator');
    const { page } = ui;
    const parent = await world.broker.grant(['orders-db', 'vault-token', 'task-reference']);
    const second = await world.broker.agentToken(SECOND_AGENT);
    const children = await Promise.all(['a', 'b', 'c'].map(async () => {
      const delegated = await world.broker.call('POST', `/v1/tasks/${parent.id}/delegate`, parent.token, { agent: SECOND_AGENT, actions: ['read'], ttl_seconds: 60, credentials: [{ name: 'orders-db', ttl_seconds: 60 }] });
      const { id } = delegated.body['task'] as { id: string };
      expect((await world.broker.call('POST', `/v1/tasks/${id}/claim`, second, {})).status).toBe(201);
      return id;
    }));
    const child = at(children, 0);
    await ui.go(`tasks/${parent.id}`);
    await page.locator(`.tree [data-task="${child}"][data-depth="1"]`).waitFor();
    await page.getByRole('button', { name: 'Revoke subtree…', exact: true }).click();
    await page.locator('[data-would-end="6"]').waitFor();
    await ui.reason.fill('drill');
    await ui.confirm.click();
    await ui.dialog.getByText('Type 6 to end as many').waitFor();
    expect(await taskState(world.broker, parent.id)).toBe('active');
    await page.locator('#typed').fill('6');
    await ui.confirm.click();
    await page.locator('.results[data-done="true"]').waitFor();
    expect((await world.broker.call('GET', `/v1/tasks/${child}`, second)).body).toMatchObject({ task: { state: 'ended' } });
    await page.keyboard.press('Escape');
    await page.locator('.steps [data-step="revoked"][data-state="done"]').waitFor();
    await page.locator('.task-leases summary').first().click();
    await page.locator('.statement').waitFor();
  }, 60_000);

  it('does not revoke without a reason, and says in the words of the broker why one is refused', async () => {
    const ui = await world.as('operator');
    const { page } = ui;
    const viewer = await world.broker.operatorToken('viewer');
    const { lease, id, token } = await oneLease(world.broker);
    await ui.go('leases');
    await ui.row(lease).locator('button.revoke:enabled').click();
    await ui.reason.fill('   ');
    await ui.confirm.click();
    await ui.dialog.getByText('Say why').waitFor();
    await page.route('**/v1/revocations', (route) => route.continue({ headers: { ...route.request().headers(), authorization: `Bearer ${viewer}` } }));
    await ui.reason.fill('drill');
    await ui.confirm.click();
    await ui.dialog.getByText('this needs the role operator; the caller is viewer').waitFor();
    expect(await leaseState(world.broker, lease)).toBe('active');
    await world.broker.complete({ id, token });
  });

  it('gives a viewer nothing to act with, and the interface refuses it too', async () => {
    const ui = await world.as('viewer');
    const { page } = ui;
    const token = await world.broker.operatorToken('viewer');
    const { lease, id, token: agent } = await oneLease(world.broker);
    const asked = await waitingTask(world.broker);
    const acting = page.getByRole('button', { name: /revoke|approve|deny|lock|disable|enable|lift|compare|test/i });
    for (const [place, note] of [['leases', 'To revoke takes the role operator'], ['approvals', 'To decide takes the role operator'], ['locks', 'To lock takes the role operator'], ['agents', 'Agents'], [`tasks/${id}`, 'On the record'], ['', 'Just now']] as const) {
      await ui.go(place);
      await page.getByText(note).first().waitFor();
      if (place === 'leases') await ui.row(lease).waitFor();
      expect(await acting.count()).toBe(0);
    }
    expect(await world.broker.call('POST', '/v1/revocations', token, { selector: { lease }, reason: 'drill' })).toMatchObject({ status: 403, body: { code: 'forbidden' } });
    expect(await leaseState(world.broker, lease)).toBe('active');
    await Promise.all([id, asked].map((one) => world.broker.complete({ id: one, token: agent })));
  });

  describe('approvals and locks', () => approvalsAndLocks(world));
  describe('signing in', () => signIn(world));
  describe('tokens', () => tokens(world, () => ended));
  describe('its pages', () => pages(world));
  // The last ones: after them there is no database, an agent without a review, more than one can look through, and then nothing any more.
  describe('in trouble', () => trouble(world));
  describe('with an admin', () => admin(world));
  describe('its connection', () => connection(world));
  describe('with many leases, and without any record', () => {
    const forgotten: string[] = [];
    beforeAll(async () => {
      // Old enough, by the time nothing knows of them, to be nobody's: a mint may take ten seconds.
      for (let number = 0; number < FORGOTTEN; number += 1) forgotten.push((await oneLease(world.broker, 1_500)).lease);
    });
    manyLeases(world);
    lostLedger(world, () => forgotten);
  });
});
