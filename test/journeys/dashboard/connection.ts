import { expect, it } from '@jest/globals';
import { SECOND_AGENT } from '../../../dev/dev-identities.ts';
import { at } from '../../support/at.ts';
import type { BrowserWorld } from '../../support/browser-world.ts';
import { leaseState, oneLease } from '../../support/dashboard-page.ts';
import { until } from '../../support/until.ts';

/** What the page does while it hears nothing, and afterwards. */
export function connection(world: BrowserWorld): void {
  it('goes on after a reload where it was, with what happened meanwhile', async () => {
    const ui = await world.as('operator');
    const { page } = ui;
    await ui.go('leases?credential=vault-token');
    const kept = await oneLease(world.broker);
    await ui.row(kept.lease).waitFor();
    const place = page.url();
    await page.goto('about:blank');
    const missed = await oneLease(world.broker);
    await world.broker.complete(missed);
    await page.goto(place);
    await ui.row(kept.lease).waitFor();
    expect(await page.locator('#filter-credential').inputValue()).toBe('vault-token');
    await ui.go('');
    await page.locator('.events').getByText(missed.lease.slice(0, 12)).first().waitFor();
    expect(await page.locator('.events [data-type="resync"]').count()).toBe(0);
    await world.broker.complete(kept);
  }, 60_000);

  it('asks and draws nothing while nobody looks, and then knows what it missed', async () => {
    const ui = await world.as('viewer');
    const { page } = ui;
    await ui.go('leases');
    const before = await oneLease(world.broker);
    await ui.row(before.lease).waitFor();
    const hide = (state: string): Promise<unknown> => page.evaluate(`Object.defineProperty(document, 'visibilityState', { value: '${state}', configurable: true }); document.dispatchEvent(new Event('visibilitychange'))`);
    await hide('hidden');
    await page.locator('.connection[data-state="paused"]').waitFor();
    const asked = ui.urls.length;
    await world.broker.complete(before);
    const missed = await oneLease(world.broker);
    await until(async () => (await leaseState(world.broker, before.lease)) === 'revoked');
    expect(ui.urls.length).toBe(asked);
    expect(await ui.row(before.lease).count()).toBe(1);
    await hide('visible');
    await ui.row(missed.lease).waitFor();
    await ui.row(before.lease).waitFor({ state: 'detached' });
    await world.broker.complete(missed);
  }, 45_000);

  it('loses the network and regains it, and shows what happened without it', async () => {
    const ui = await world.as('viewer');
    const { page } = ui;
    await ui.go('leases');
    const kept = await oneLease(world.broker);
    await ui.row(kept.lease).waitFor();
    await page.context().setOffline(true);
    await page.locator('.connection[data-state="waiting"]').waitFor({ timeout: 20_000 });
    await world.broker.complete(kept);
    const made = await oneLease(world.broker);
    await page.context().setOffline(false);
    await ui.row(made.lease).waitFor({ timeout: 40_000 });
    await ui.row(kept.lease).waitFor({ state: 'detached' });
    await world.broker.complete(made);
  }, 90_000);

  it('says when it is cut off, goes on by itself when the broker is back, and then marks whose review is overdue', async () => {
    const ui = await world.as('operator');
    await ui.go('leases');
    const first = await oneLease(world.broker);
    const second = at((await world.broker.grant(['vault-token'], { token: await world.broker.agentToken(SECOND_AGENT) })).credentials, 0).lease_id;
    await ui.row(first.lease).getByText('team-refunds').waitFor();
    await ui.row(second).getByText('team-payouts').waitFor();
    await until(async () => (await ui.page.locator('.mark').count()) === 0);
    const back = world.broker.reconfigure((config) => {
      config.agents = config.agents.map((agent) => (agent.subject === SECOND_AGENT ? { ...agent, review_by: '2020-01-31' } : agent));
    });
    await ui.page.locator('.connection[data-state="waiting"]').waitFor();
    await back;
    const made = await oneLease(world.broker);
    await ui.row(made.lease).waitFor({ timeout: 40_000 });
    await ui.page.locator('.connection[data-state="on"]').waitFor();
    await world.broker.complete(made);
    await ui.page.reload();
    await ui.row(second).getByText('review overdue').waitFor();
    expect(await ui.row(first.lease).locator('.mark').count()).toBe(0);
    await world.broker.complete(first);
  }, 90_000);
}
