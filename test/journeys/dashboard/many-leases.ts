import { expect, it } from '@jest/globals';
import type { BrowserWorld } from '../../support/browser-world.ts';
import { oneLease } from '../../support/dashboard-page.ts';
import { seedLeases } from '../../support/many-leases.ts';
import { until } from '../../support/until.ts';

/** Many times what a screen shows, and ten pages after the first. */
const MANY = 50_000;

/** A list of more than anybody reads. */
export function manyLeases(world: BrowserWorld): void {
  it('lists 50,000 leases and draws only those that can be seen, from the first to the last', async () => {
    const ui = await world.as('operator');
    await seedLeases(world.broker, MANY);
    await ui.go('leases');
    await ui.page.locator('.lease-rows [data-index="3"]').waitFor();
    const grid = ui.page.locator('[role="grid"]');
    await until(async () => Number(await grid.getAttribute('aria-rowcount')) > MANY);
    await ui.page.locator('.lease-rows [data-index="0"]').focus();
    // Further down is loaded as far as somebody goes.
    await ui.page.evaluate("document.querySelector('.lease-scroller').scrollTop = 1e9");
    await until(async () => (await ui.page.locator('.lease-row.placeholder').count()) === 0 && Number(await ui.page.locator('.lease-rows [data-index]').last().getAttribute('data-index')) > MANY - 2, { timeoutMs: 120_000, what: 'the last lease is on the page' });
    expect(await ui.page.locator('.lease-rows > [role="row"]').count()).toBeLessThan(80);
    await ui.page.locator('.lease-rows [data-index]').last().focus();
    await ui.page.keyboard.press('Home');
    await ui.page.locator('.lease-rows [data-index="0"]:focus').waitFor();
    // Still live among so many: one that begins now is in its place, and gone when it has ended.
    const { lease, id, token } = await oneLease(world.broker, 120);
    await ui.row(lease).waitFor();
    await world.broker.complete({ id, token });
    await ui.row(lease).waitFor({ state: 'detached' });
    await ui.go('leases?agent=agent%3Aworker-7');
    await until(async () => (await ui.page.locator('.lease-rows .agent').allTextContents()).every((name) => name === 'agent:worker-7') && (await ui.page.locator('.lease-rows .agent').count()) > 5);
    // Nobody answers for it.
    await ui.page.locator('.lease-rows .mark').getByText('unregistered').first().waitFor();
    await ui.go('leases?credential=task-token');
    // Half of them, and perhaps one of a test before.
    await until(async () => Math.abs(Number(await grid.getAttribute('aria-rowcount')) - 1 - MANY / 2) <= 4, { what: 'the filter is counted' });
  }, 240_000);
}
