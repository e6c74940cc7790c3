import { expect, it } from '@jest/globals';
import { AGENT, SECOND_AGENT } from '../../../dev/dev-identities.ts';
import { at } from '../../support/at.ts';
import type { BrowserWorld } from '../../support/browser-world.ts';
import { leaseState, oneLease } from '../../support/dashboard-page.ts';
import { until } from '../../support/until.ts';

/** When things go wrong: the database is away, and an agent has to be stopped. */
export function trouble(world: BrowserWorld): void {
  it('shows what is stuck before all else, and lets an operator try again', async () => {
    const ui = await world.as('operator');
    const { page } = ui;
    await ui.go('leases');
    const early = await oneLease(world.broker, 60);
    const stuck = at((await world.broker.grant(['orders-db'], { ttlSeconds: 120 })).credentials, 0).lease_id;
    await ui.row(stuck).waitFor();
    await world.broker.stack.postgres?.stop();
    await ui.row(stuck).getByRole('button', { name: /^Revoke/ }).click();
    await ui.reason.fill('drill');
    await ui.confirm.click();
    await page.locator(`.lease-rows [data-lease="${stuck}"][data-state="stuck"]`).waitFor({ timeout: 25_000 });
    await page.keyboard.press('Escape');
    await page.locator(`.lease-rows [data-index="0"][data-lease="${stuck}"]`).waitFor();
    expect(await ui.row(early.lease).count()).toBe(1);
    await ui.row(stuck).getByRole('button', { name: /^Try again/ }).click();
    await page.getByText('is being tried again').waitFor();
    await ui.go('');
    await page.locator('.verdict[data-tone="bad"] [data-part="stuck"]').getByText('1 stuck').waitFor();
    expect(await page.title()).toMatch(/^\(!\)/);
  }, 60_000);

  it('lets an operator stop an agent with all that it holds, and no other', async () => {
    const ui = await world.as('operator');
    const { lease } = await oneLease(world.broker);
    const second = await world.broker.agentToken(SECOND_AGENT);
    const other = at((await world.broker.grant(['vault-token'], { token: second })).credentials, 0).lease_id;
    await ui.go('agents');
    await ui.page.getByRole('button', { name: `Disable: ${AGENT}` }).click();
    await ui.reason.fill('drill');
    if ((await ui.dialog.locator('#typed').count()) > 0) await ui.dialog.locator('#typed').fill(/Type (\d+)/.exec((await ui.dialog.textContent()) ?? '')?.[1] ?? '');
    await ui.confirm.click();
    await until(async () => (await leaseState(world.broker, lease)) === 'revoked');
    expect(await leaseState(world.broker, other)).toBe('active');
    await ui.page.keyboard.press('Escape');
    await ui.page.locator('tr').filter({ hasText: AGENT }).getByText('disabled').waitFor();
  }, 60_000);
}
