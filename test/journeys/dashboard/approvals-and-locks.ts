import { expect, it } from '@jest/globals';
import { AGENT } from '../../../dev/dev-identities.ts';
import type { BrowserWorld } from '../../support/browser-world.ts';
import { leaseState, oneLease, taskState, waitingTask } from '../../support/dashboard-page.ts';

/** What an operator decides, and what they lock. */
export function approvalsAndLocks(world: BrowserWorld): void {
  it('lets an operator approve what waits, by keyboard alone, as it was looked at, with a note', async () => {
    const ui = await world.as('operator');
    const { page } = ui;
    await ui.go('approvals');
    const id = await waitingTask(world.broker);
    await ui.card(id).getByText('team-refunds').waitFor();
    const shown = (await ui.card(id).textContent()) ?? '';
    for (const part of ['the quarterly report', AGENT, world.broker.stack.workloads.issuer, 'data-export', 'export', 'pii', 'case = "c-1"', 'orders-db for 5:00', 'every 1:00', 'self_declared', 'nobody: it acts for itself', 'team-refunds', 'risk: high', '0 of 1', 'sha256:']) expect(shown).toContain(part);
    expect(await ui.card(id).locator('.left').textContent()).toMatch(/^1[45]:\d\d left$/);
    const sent = page.waitForRequest((request) => request.method() === 'POST');
    await ui.card(id).getByRole('button', { name: 'Approve: data-export' }).focus();
    await page.keyboard.press('Enter');
    await ui.dialog.waitFor();
    // The same key once more sends nothing.
    await page.keyboard.press('Enter');
    expect(await taskState(world.broker, id)).toBe('pending_approval');
    await page.keyboard.press('Tab');
    await page.keyboard.type('seen with the customer');
    await page.keyboard.press('Enter');
    await ui.card(id).waitFor({ state: 'detached' });
    expect(await taskState(world.broker, id)).toBe('pending_claim');
    const { approval } = (await world.broker.call('GET', `/v1/tasks/${id}/approval`, await world.broker.operatorToken('viewer'))).body as { approval: { envelope_digest: string } };
    expect(approval).toMatchObject({ state: 'approved', approved_by: [{ subject: 'olga', note: 'seen with the customer' }] });
    expect((await sent).postDataJSON()).toMatchObject({ decision: 'approve', digest: approval.envelope_digest });
    await page.getByText('its agent can claim it now').waitFor();
    await world.broker.complete({ id, token: await world.broker.agentToken() });
  });

  it('lets an operator deny, asks once more before it does, and takes away what others decided', async () => {
    const ui = await world.as('operator');
    const { page } = ui;
    await ui.go('approvals');
    const [id, others] = [await waitingTask(world.broker), await waitingTask(world.broker)];
    await ui.card(id).getByRole('button', { name: /^Deny/ }).click();
    await ui.dialog.getByText('One no ends the task').waitFor();
    await ui.dialog.getByRole('button', { name: 'Cancel' }).click();
    expect(await taskState(world.broker, id)).toBe('pending_approval');
    await ui.card(id).getByRole('button', { name: /^Deny/ }).click();
    await page.getByRole('button', { name: 'Deny now' }).click();
    await ui.card(id).waitFor({ state: 'detached' });
    expect(await taskState(world.broker, id)).toBe('ended');
    await world.broker.call('POST', `/v1/tasks/${others}/approval`, await world.broker.operatorToken(), { decision: 'deny' });
    await ui.card(others).waitFor({ state: 'detached' });
    await page.getByText('Nothing waits for a human').waitFor();
  });

  it('shows why whoever asks cannot approve, and why what has changed cannot be', async () => {
    const asking = await world.opened();
    await asking.signIn('operator', await world.broker.stack.operators.sign({ subject: AGENT, claims: { roles: ['mayfly-operator'] } }));
    await asking.go('approvals');
    const id = await waitingTask(world.broker);
    await asking.card(id).getByRole('button', { name: /^Approve/ }).click();
    await asking.confirm.click();
    await asking.dialog.getByText('the caller is its declarer').waitFor();
    expect(await taskState(world.broker, id)).toBe('pending_approval');
    const ui = await world.as('operator');
    await ui.go('approvals');
    // Another digest than the task's: as if it had been another task when it was looked at.
    await ui.page.route('**/approval', (route) => route.continue({ postData: JSON.stringify({ decision: 'approve', digest: `sha256:${'0'.repeat(64)}` }) }));
    await ui.card(id).getByRole('button', { name: /^Approve/ }).click();
    await ui.confirm.click();
    await ui.dialog.getByText('not that of what this task declares').waitFor();
    expect(await taskState(world.broker, id)).toBe('pending_approval');
    await world.broker.complete({ id, token: await world.broker.agentToken() });
    await ui.dialog.getByText('It no longer waits').waitFor();
  });

  it('locks with what is live, shows what was refused and why, and lifts the lock again', async () => {
    const ui = await world.as('operator');
    const { page } = ui;
    const { lease } = await oneLease(world.broker);
    await ui.go('locks');
    await page.getByRole('button', { name: 'Lock…' }).click();
    await page.locator('#lock-word').selectOption('credential');
    await page.locator('#lock-value').fill('vault-token');
    await page.getByLabel('also end what is live').check();
    await page.locator('[data-would-end="1"]').waitFor();
    await ui.reason.fill('leaked');
    await ui.confirm.click();
    await page.locator('.results[data-done="true"]').waitFor();
    expect(await leaseState(world.broker, lease)).toBe('revoked');
    await page.keyboard.press('Escape');
    const lock = page.locator('[data-lock]').filter({ hasText: 'credential vault-token' });
    await lock.getByText('leaked').waitFor();
    const refused = await world.broker.call('POST', '/v1/tasks', await world.broker.agentToken(), { purpose: 'refund-investigation', actions: ['read'], credentials: [{ name: 'vault-token' }] });
    expect(refused).toMatchObject({ status: 403, body: { code: 'locked' } });
    await ui.go('denials');
    await page.locator('.records [data-type="grant.locked"]').first().waitFor();
    await ui.go('locks');
    await lock.getByRole('button', { name: /^Lift/ }).click();
    await page.getByRole('button', { name: 'Lift now' }).click();
    await lock.waitFor({ state: 'detached' });
    const again = await oneLease(world.broker);
    await world.broker.complete(again);
  }, 45_000);
}
