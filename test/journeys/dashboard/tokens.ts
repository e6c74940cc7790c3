import { expect, it } from '@jest/globals';
import type { BrowserWorld } from '../../support/browser-world.ts';
import { leaseState, oneLease, showTokenField, type DashboardPage } from '../../support/dashboard-page.ts';
import { until } from '../../support/until.ts';

/**
 * Who is signed in, with what, for how long.
 * @param ended signed in before all else, with a token that was good for a few seconds
 */
export function tokens(world: BrowserWorld, ended: () => DashboardPage): void {
  it('keeps the token out of URLs, cookies and what outlives the tab, and forgets it at signing out', async () => {
    const ui = await world.opened();
    const { page } = ui;
    const token = await ui.signIn('operator');
    expect(await page.evaluate('JSON.stringify(sessionStorage)')).toContain(token);
    expect(await page.evaluate('JSON.stringify(localStorage) + document.cookie + location.href')).not.toContain(token);
    expect(ui.urls.filter((url) => url.includes(token) || !url.startsWith(world.broker.url))).toEqual([]);
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.locator('.sign-in').waitFor();
    expect(await page.evaluate('JSON.stringify(sessionStorage)')).toBe('{}');
    expect(ui.faults).toEqual([]);
  });

  it('signs a person in at the identity provider, brings them back to their place, and acts as them without a token', async () => {
    const ui = await world.opened();
    const { page } = ui;
    const { lease } = await oneLease(world.broker);
    await page.evaluate("location.hash = '#/leases?credential=vault-token'");
    await page.getByRole('button', { name: 'Sign in with your identity provider' }).click();
    await page.locator('button[value="olga"]').click();
    await page.locator('.who').getByText('olga').waitFor();
    expect(await page.locator('#filter-credential').inputValue()).toBe('vault-token');
    expect(await page.evaluate('sessionStorage.getItem("mayfly.token")')).toBeNull();
    await ui.row(lease).locator('button.revoke:enabled').click();
    await ui.reason.fill('drill');
    await ui.confirm.click();
    await page.locator('.results[data-done="true"]').waitFor();
    expect(await leaseState(world.broker, lease)).toBe('revoked');
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'Sign out' }).click();
    await until(async () => !(await page.context().cookies()).some(({ name }) => name === '__Host-mayfly'), { what: 'the session is gone' });
    expect(ui.faults).toEqual([]);
  });

  it('says in plain words that a token is no good, or not an operator’s', async () => {
    const ui = await world.opened();
    const { page } = ui;
    await showTokenField(page);
    await page.locator('#token').fill('not-a-token');
    await page.keyboard.press('Enter');
    await page.getByText('the token was not accepted').waitFor();
    await showTokenField(page);
    await page.locator('#token').fill(await world.broker.agentToken());
    await page.keyboard.press('Enter');
    await page.getByText('This page is for operators').waitFor();
    expect(await page.evaluate('JSON.stringify(sessionStorage)')).toBe('{}');
  });

  it('warns before the token ends, and takes another without losing the place', async () => {
    const ui = await world.opened();
    const { page } = ui;
    await ui.signIn('viewer', await world.broker.stack.operators.sign({ subject: 'vera', claims: { roles: ['mayfly-viewer'] }, lifetimeSeconds: 60 }));
    await ui.go('locks');
    await page.locator('[data-banner="sign-in-ends"]').getByRole('button', { name: 'Use a new token' }).click();
    await page.locator('#new-token').fill(await world.broker.stack.operators.sign({ subject: 'victor', claims: { roles: ['mayfly-viewer'] } }));
    await page.keyboard.press('Enter');
    await page.locator('.who').getByText('victor').waitFor();
    expect(await page.locator('main').getAttribute('data-view')).toBe('locks');
    await page.locator('[data-banner="sign-in-ends"]').waitFor({ state: 'detached' });
  });

  it('asks for a new token when the old one has ended', async () => {
    // It was good for a few seconds when the first test began; within the 30 s of allowed skew it was taken once more.
    await ended().page.locator('.sign-in').waitFor({ timeout: 60_000 });
    await ended().page.getByText(/not accepted/).waitFor();
  }, 80_000);
}
