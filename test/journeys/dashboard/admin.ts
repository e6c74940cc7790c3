import { expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import { AGENT } from '../../../dev/dev-identities.ts';
import type { BrowserWorld } from '../../support/browser-world.ts';
import { oneLease } from '../../support/dashboard-page.ts';
import { until } from '../../support/until.ts';

/** What only an admin does: they let go on what was stopped. */
export function admin(world: BrowserWorld): void {
  it('lets an admin enable an agent again, by keyboard alone, and an operator not', async () => {
    const operator = await world.as('operator');
    await operator.go('agents');
    const row = operator.page.locator('tr').filter({ hasText: AGENT });
    await row.getByText('disabled').waitFor();
    expect(await row.getByRole('button').count()).toBe(0);
    const ui = await world.as('admin');
    await ui.go('agents');
    await ui.page.getByRole('button', { name: `Enable: ${AGENT}` }).focus();
    await ui.page.keyboard.press('Enter');
    await ui.dialog.getByText('Disabled by olga').waitFor();
    // The same key once more sends nothing.
    await ui.page.keyboard.press('Enter');
    expect(await row.getByText('disabled').count()).toBe(1);
    await ui.confirm.focus();
    await ui.page.keyboard.press('Enter');
    await ui.page.getByText('The agent is enabled.').waitFor();
    await row.getByText('enabled').waitFor();
    await world.broker.complete(await oneLease(world.broker));
  });

  it('shows an admin a webhook that has gone, tests it, and tells it again what waited; an operator only looks', async () => {
    const [ui, operator] = [await world.as('admin'), await world.as('operator')];
    const row = ui.page.locator('[data-webhook="soc"]');
    await row.getByRole('button', { name: 'Send a test to soc' }).click();
    await row.getByText('The test was taken (204).').waitFor();
    world.soc.answer = 410;
    await row.getByRole('button', { name: 'Send a test to soc' }).click();
    await row.getByText('The test was not taken: it answered 410.').waitFor();
    // The record of the test is an event of its own: that it is gone is known once it was told of it.
    await row.getByText('it answered 410 on').waitFor({ timeout: 30_000 });
    await operator.page.locator('[data-webhook="soc"][data-state="disabled"]').waitFor();
    expect(await operator.page.locator('[data-webhook] button').count()).toBe(0);
    world.soc.answer = 204;
    const before = world.soc.taken.length;
    await row.getByRole('button', { name: 'Enable: soc' }).click();
    await ui.dialog.getByText('that waited for it').waitFor();
    await ui.confirm.click();
    await ui.page.locator('[data-webhook="soc"][data-state="enabled"]').waitFor({ timeout: 30_000 });
    await until(() => world.soc.taken.length > before, { what: 'what waited is delivered' });
  }, 90_000);

  it('compares targets and records for an operator, and says that nothing is to be ended', async () => {
    const ui = await world.as('operator');
    await ui.page.getByRole('button', { name: 'Compare with the targets…' }).click();
    await ui.dialog.locator('[data-provider="vault-main"]').getByText('yes').waitFor();
    await ui.dialog.locator('[data-provider="tokens"]').getByText('tells nobody what is live').waitFor();
    await ui.dialog.locator('[data-would-end="0"]').waitFor();
    await ui.dialog.getByText('Nothing is to be ended.').waitFor();
    await ui.confirm.click();
    await ui.dialog.waitFor({ state: 'hidden' });
  });
}

/** Credentials that the ledger will have forgotten. */
export const FORGOTTEN = 6;

/** The last of all: afterwards the ledger knows nothing of what was before. */
export function lostLedger(world: BrowserWorld, forgotten: () => readonly string[]): void {
  it('tells everybody of a hold, since when and why, and lets only an admin end it, with what the ledger has forgotten', async () => {
    const [viewer, ui] = [await world.as('viewer'), await world.as('admin')];
    const held = viewer.page.locator('[data-banner="hold"]');
    expect(await held.count()).toBe(0);
    await viewer.page.locator('.verdict-title').waitFor();
    const redis = new Redis(world.broker.stack.redis.url);
    await redis.flushall();
    redis.disconnect();
    await held.getByText('the ledger lost its records').waitFor({ timeout: 30_000 });
    expect(await held.textContent()).toMatch(/nothing is granted since .+\d\d:\d\d:\d\d.+ends by itself at .+an admin can end it sooner/);
    await viewer.page.locator('.events [data-type="audit.reset"]').first().waitFor({ timeout: 30_000 });
    await viewer.page.locator('.verdict[data-tone="bad"]').getByText('Not all that is live is known').waitFor({ timeout: 30_000 });
    expect(await viewer.page.title()).toMatch(/^\(!\)/);
    expect(await held.getByRole('button').count()).toBe(0);
    const end = ui.page.getByRole('button', { name: 'End the hold…' });
    await end.waitFor({ timeout: 30_000 });
    await end.focus();
    await ui.page.keyboard.press('Enter');
    await until(async () => Number(await ui.dialog.locator('.would-end').getAttribute('data-would-end')) >= FORGOTTEN, { what: 'what would end is counted' });
    const number = (await ui.dialog.locator('.would-end').getAttribute('data-would-end')) ?? '';
    await ui.reason.fill('looked at');
    await ui.confirm.click();
    await ui.dialog.getByText(`Type ${number} to end as many credentials`).waitFor();
    expect(await world.broker.liveTokens()).toEqual(expect.arrayContaining([...forgotten()]));
    await ui.dialog.locator('#typed').fill(number);
    await ui.page.keyboard.press('Enter');
    await ui.dialog.getByRole('columnheader', { name: 'Revoked' }).waitFor({ timeout: 30_000 });
    const live = await world.broker.liveTokens();
    expect(forgotten().filter((lease) => live.includes(lease))).toEqual([]);
    await ui.page.keyboard.press('Escape');
    await ui.page.getByText('credentials are granted again').waitFor();
    await held.waitFor({ state: 'detached', timeout: 30_000 });
    await viewer.page.locator('.verdict[data-tone="good"]').waitFor({ timeout: 30_000 });
    await world.broker.complete(await oneLease(world.broker));
  }, 120_000);
}
