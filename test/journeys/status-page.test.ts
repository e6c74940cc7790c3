import { afterAll, afterEach, beforeAll, beforeEach, expect, it, describe } from '@jest/globals';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { at } from '../support/at.ts';
import { chromiumPath, openPage, startChromium } from '../support/chromium.ts';
import { RunningBroker } from '../support/running-broker.ts';
import { AGENT, SECOND_AGENT } from '../../dev/dev-identities.ts';
import { until } from '../support/until.ts';

/** Without a browser these are skipped, by name. */
const inChromium = chromiumPath === undefined ? describe.skip : describe;

inChromium('the status page in Chromium', () => {
  let broker: RunningBroker;
  let browser: Browser;
  let context: BrowserContext;
  let page: Page;
  let faults: string[];
  let urls: string[];

  beforeAll(async () => {
    broker = await RunningBroker.start({ limits: { waiting_approvals_per_agent: 10 }, revocation: { stuck_after_seconds: 2, retry_first_ms: 300, retry_max_ms: 1_000 } });
    browser = await startChromium();
  }, 90_000);

  afterAll(async () => {
    await browser.close();
    await broker.stop();
  }, 30_000);

  beforeEach(async () => {
    context = await browser.newContext();
    context.setDefaultTimeout(15_000);
    ({ page, faults, urls } = await openPage(context, broker.url));
  });

  afterEach(() => context.close());

  const row = (lease: string) => page.locator(`tr[data-lease="${lease}"]`);
  const isLive = () => page.locator('#connection[data-state="on"]').waitFor();

  const card = (task: string) => page.locator(`#approvals [data-task="${task}"]`);
  const taskState = async (id: string): Promise<string> => ((await broker.call('GET', `/v1/tasks/${id}`, await broker.agentToken())).body['task'] as { state: string }).state;

  /** A task that waits for one human. */
  async function waiting(justification = 'the quarterly report'): Promise<string> {
    const fields = { purpose: 'data-export', justification, actions: ['export'], data_classes: ['pii'], context: { case: 'c-1' }, ttl_seconds: 600, heartbeat_seconds: 60, credentials: [{ name: 'orders-db', ttl_seconds: 300 }] };
    const { status, body } = await broker.call('POST', '/v1/tasks', await broker.agentToken(), fields);
    if (status !== 202) throw new Error(`the task does not wait: ${status} ${JSON.stringify(body)}`);
    return (body['task'] as { id: string }).id;
  }

  async function signIn(role: 'viewer' | 'operator', token?: string): Promise<string> {
    const pasted = token ?? (await broker.operatorToken(role));
    await page.locator('#token').fill(pasted);
    await page.keyboard.press('Enter');
    await isLive();
    return pasted;
  }

  async function lease(ttlSeconds = 300): Promise<{ readonly id: string; readonly task: string; readonly token: string }> {
    const grant = await broker.grant(['vault-token'], { ttlSeconds });
    return { id: at(grant.credentials, 0).lease_id, task: grant.id, token: grant.token };
  }

  const secondsLeft = async (id: string): Promise<number> => {
    const [minutes = 0, seconds = 0] = ((await row(id).locator('.left').textContent()) ?? '').split(':').map(Number);
    return 60 * minutes + seconds;
  };
  const stateOf = async (id: string): Promise<string> =>
    ((await broker.call('GET', `/v1/leases/${id}`, await broker.operatorToken('viewer'))).body['lease'] as { state: string }).state;

  it('shows a lease that counts down by the clock of the broker and vanishes when it has ended', async () => {
    await signIn('viewer');
    const { id } = await lease(25);
    await row(id).waitFor();
    // The row comes with the list, its countdown with the next tick.
    let first = Number.NaN;
    await until(async () => !Number.isNaN((first = await secondsLeft(id))), { what: 'the row counts' });
    expect(first).toBeLessThanOrEqual(25);
    await until(async () => (await secondsLeft(id)) < first, { what: 'the countdown moves' });
    expect(await row(id).isVisible()).toBe(true);
    await row(id).waitFor({ state: 'detached', timeout: 45_000 });
    expect(await stateOf(id)).toBe('revoked');
    expect(faults).toEqual([]);
  }, 90_000);

  it('goes by the clock of the broker although that of the browser is an hour off', async () => {
    await page.clock.install({ time: Date.now() + 3_600_000 });
    await page.reload();
    await signIn('viewer');
    const { id, task, token } = await lease(200);
    await row(id).waitFor();
    await until(async () => (await secondsLeft(id)) > 0);
    expect(await secondsLeft(id)).toBeLessThanOrEqual(200);
    expect(await secondsLeft(id)).toBeGreaterThan(150);
    await broker.complete({ id: task, token });
  });

  it('lets an operator revoke, by keyboard alone, with a reason that goes on the record', async () => {
    await signIn('operator');
    const { id } = await lease();
    // A lease that is still being minted cannot be revoked yet, and its button takes no focus.
    await row(id).locator('button.revoke:enabled').focus();
    await page.keyboard.press('Enter');
    await page.locator('#revoke-dialog[open]').waitFor();
    await page.keyboard.press('Escape');
    await page.locator('#revoke-dialog').waitFor({ state: 'hidden' });
    expect(await stateOf(id)).toBe('active');
    await row(id).getByRole('button').focus();
    await page.keyboard.press('Enter');
    await page.keyboard.type('seen in a log');
    await page.keyboard.press('Enter');
    await row(id).waitFor({ state: 'detached' });
    expect(await stateOf(id)).toBe('revoked');
    expect(faults).toEqual([]);
  });

  it('revokes the whole task where that is asked', async () => {
    await signIn('operator');
    const grant = await broker.grant(['vault-token', 'task-reference']);
    const [first, second] = [at(grant.credentials, 0).lease_id, at(grant.credentials, 1).lease_id];
    await row(first).getByRole('button').click();
    await page.getByLabel('the whole task').check();
    await page.locator('#revoke-reason').fill('drill');
    await page.locator('#revoke-confirm').click();
    await Promise.all([first, second].map((id) => row(id).waitFor({ state: 'detached' })));
    expect((await broker.call('GET', `/v1/tasks/${grant.id}`, grant.token)).body).toMatchObject({ task: { end_reason: 'revoked' } });
  });

  it('does not revoke without a reason', async () => {
    await signIn('operator');
    const { id, task, token } = await lease();
    await row(id).getByRole('button').click();
    await page.locator('#revoke-reason').fill('   ');
    await page.locator('#revoke-confirm').click();
    await page.getByText('Say why').waitFor();
    expect(await stateOf(id)).toBe('active');
    await broker.complete({ id: task, token });
  });

  it('gives a viewer no button, and the interface refuses it too', async () => {
    const token = await signIn('viewer');
    const { id, task, token: agent } = await lease();
    await row(id).waitFor();
    expect(await page.getByRole('button', { name: /^Revoke/ }).count()).toBe(0);
    await page.getByText('To revoke takes the role operator').waitFor();
    const answer = await broker.call('POST', '/v1/revocations', token, { selector: { lease: id }, reason: 'drill' });
    expect(answer).toMatchObject({ status: 403, body: { code: 'forbidden' } });
    expect(await stateOf(id)).toBe('active');
    await broker.complete({ id: task, token: agent });
  });

  it('shows in the words of the broker why a revocation is refused', async () => {
    await signIn('operator');
    const viewer = await broker.operatorToken('viewer');
    await page.route('**/v1/revocations', (route) => route.continue({ headers: { ...route.request().headers(), authorization: `Bearer ${viewer}` } }));
    const { id, task, token } = await lease();
    await row(id).getByRole('button').click();
    await page.locator('#revoke-reason').fill('drill');
    await page.locator('#revoke-confirm').click();
    await page.getByText('this needs the role operator; the caller is viewer').waitFor();
    expect(await stateOf(id)).toBe('active');
    await broker.complete({ id: task, token });
  });

  it('lets an operator approve what waits, by keyboard alone, as it was looked at, with a note', async () => {
    await signIn('operator');
    const id = await waiting();
    await card(id).getByText('team-refunds').waitFor();
    const shown = (await card(id).textContent()) ?? '';
    for (const part of ['the quarterly report', AGENT, broker.stack.workloads.issuer, 'data-export', 'export', 'pii', 'case = "c-1"', 'orders-db for 5:00', 'every 1:00', 'self_declared', 'nobody: it acts for itself', 'team-refunds', 'risk: high', '0 of 1', 'sha256:']) expect(shown).toContain(part);
    expect(await card(id).locator('.left').textContent()).toMatch(/^1[45]:\d\d left$/);
    const sent = page.waitForRequest((request) => request.method() === 'POST');
    await card(id).getByRole('button', { name: 'Approve: data-export' }).focus();
    await page.keyboard.press('Enter');
    await page.locator('#approval-dialog[open]').waitFor();
    // The same key once more sends nothing.
    await page.keyboard.press('Enter');
    expect(await taskState(id)).toBe('pending_approval');
    await page.keyboard.press('Tab');
    await page.keyboard.type('seen with the customer');
    await page.keyboard.press('Enter');
    await card(id).waitFor({ state: 'detached' });
    expect(await taskState(id)).toBe('pending_claim');
    const { approval } = (await broker.call('GET', `/v1/tasks/${id}/approval`, await broker.operatorToken('viewer'))).body as { approval: { envelope_digest: string } };
    expect(approval).toMatchObject({ state: 'approved', approved_by: [{ subject: 'olga', note: 'seen with the customer' }] });
    expect((await sent).postDataJSON()).toMatchObject({ decision: 'approve', digest: approval.envelope_digest });
    await page.getByText('its agent can claim it now').waitFor();
    await broker.complete({ id, token: await broker.agentToken() });
    expect(faults).toEqual([]);
  });

  it('lets an operator deny, and asks once more before it does', async () => {
    await signIn('operator');
    const id = await waiting();
    await card(id).getByRole('button', { name: /^Deny/ }).click();
    await page.getByText('One no ends the task').waitFor();
    await page.locator('#approval-cancel').click();
    expect(await taskState(id)).toBe('pending_approval');
    await card(id).getByRole('button', { name: /^Deny/ }).click();
    await page.getByRole('button', { name: 'Deny now' }).click();
    await card(id).waitFor({ state: 'detached' });
    expect(await taskState(id)).toBe('ended');
  });

  it('shows a viewer what waits, as text and without a button, and what others decided is gone', async () => {
    await signIn('viewer');
    const id = await waiting('<img src=x onerror=alert(1)> for \u202eeno yna');
    await card(id).getByText('<img src=x onerror=alert(1)> for ⟨U+202E⟩eno yna').waitFor();
    expect(await card(id).locator('img').count()).toBe(0);
    expect(await page.getByRole('button', { name: /approve|deny/i }).count()).toBe(0);
    await page.getByText('To decide takes the role operator').waitFor();
    await broker.call('POST', `/v1/tasks/${id}/approval`, await broker.operatorToken(), { decision: 'deny' });
    await card(id).waitFor({ state: 'detached' });
    await page.locator('#waiting').waitFor({ state: 'hidden' });
    expect(faults).toEqual([]);
  });

  it('shows why whoever asks cannot approve, and why what has changed cannot be', async () => {
    await signIn('operator', await broker.stack.operators.sign({ subject: AGENT, claims: { roles: ['mayfly-operator'] } }));
    const id = await waiting();
    await card(id).getByRole('button', { name: /^Approve/ }).click();
    await page.getByRole('button', { name: 'Approve now' }).click();
    await page.locator('#approval-problem').getByText('the caller is its declarer').waitFor();
    expect(await taskState(id)).toBe('pending_approval');
    await page.locator('#approval-cancel').click();
    await page.getByRole('button', { name: 'Sign out' }).click();
    await signIn('operator');
    // Another digest than the task's: as if it had been another task when it was looked at.
    await page.route('**/approval', (route) => route.continue({ postData: JSON.stringify({ decision: 'approve', digest: `sha256:${'0'.repeat(64)}` }) }));
    await card(id).getByRole('button', { name: /^Approve/ }).click();
    await page.getByRole('button', { name: 'Approve now' }).click();
    await page.locator('#approval-problem').getByText('not that of what this task declares').waitFor();
    expect(await taskState(id)).toBe('pending_approval');
    await broker.complete({ id, token: await broker.agentToken() });
    await page.getByText('It no longer waits').waitFor();
  });

  it('goes on after a reload where it was, with what happened meanwhile', async () => {
    await signIn('operator');
    const kept = await lease();
    await row(kept.id).waitFor();
    await page.goto('about:blank');
    const missed = await lease();
    await broker.complete({ id: missed.task, token: missed.token });
    await page.goto(broker.url);
    await isLive();
    await row(kept.id).waitFor();
    await page.locator('#events').getByText(missed.id.slice(0, 12)).first().waitFor();
    expect(await page.locator('#events [data-type="resync"]').count()).toBe(0);
    const next = await lease();
    await row(next.id).waitFor();
    await page.reload();
    await isLive();
    await Promise.all([row(kept.id).waitFor(), row(next.id).waitFor()]);
    await Promise.all([kept, next].map(({ task, token }) => broker.complete({ id: task, token })));
    await Promise.all([kept, next].map(({ id }) => row(id).waitFor({ state: 'detached' })));
  }, 60_000);

  it('says when it is cut off, and goes on by itself when the broker is back', async () => {
    await signIn('operator');
    await broker.kill();
    await page.locator('#connection[data-state="waiting"]').waitFor();
    await broker.startBroker();
    const { id, task, token } = await lease();
    await row(id).waitFor({ timeout: 40_000 });
    await isLive();
    await broker.complete({ id: task, token });
  }, 90_000);

  it('keeps the token out of URLs, cookies and what outlives the tab, and forgets it at signing out', async () => {
    const token = await signIn('operator');
    expect(await page.evaluate('JSON.stringify(sessionStorage)')).toContain(token);
    expect(await page.evaluate('JSON.stringify(localStorage) + document.cookie + location.href')).not.toContain(token);
    expect(await context.cookies()).toEqual([]);
    expect(urls.filter((url) => url.includes(token) || !url.startsWith(broker.url))).toEqual([]);
    expect(await page.locator('#token').inputValue()).toBe('');
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.locator('#sign-in').waitFor();
    expect(await page.evaluate('JSON.stringify(sessionStorage)')).toBe('{}');
    expect(faults).toEqual([]);
  });

  it('says in plain words that a token is no good, or not an operator’s', async () => {
    await page.locator('#token').fill('not-a-token');
    await page.keyboard.press('Enter');
    await page.getByText('the token was not accepted').waitFor();
    await page.locator('#token').fill(await broker.agentToken());
    await page.keyboard.press('Enter');
    await page.getByText('This page is for operators').waitFor();
    expect(await page.evaluate('JSON.stringify(sessionStorage)')).toBe('{}');
  });

  it('asks for a new token when the old one has ended', async () => {
    await signIn('viewer', await broker.stack.operators.sign({ subject: 'vera', claims: { roles: ['mayfly-viewer'] }, lifetimeSeconds: 5 }));
    // The stream ends with the token; within the 30 s of allowed skew it is taken once more.
    await page.locator('#sign-in').waitFor({ timeout: 60_000 });
    await page.locator('#sign-in-problem').getByText(/not accepted/).waitFor();
  }, 80_000);

  it('tells who has no lease how to make the first one', async () => {
    await signIn('viewer');
    await page.getByText('mayfly request --purpose').waitFor();
    expect(await page.locator('#table').isVisible()).toBe(false);
  });

  it('shows what others chose as text: a name is never markup', async () => {
    await signIn('viewer');
    const name = 'agent:<img src=x onerror=alert(1)>';
    await broker.call('POST', '/v1/tasks', await broker.agentToken(name), { purpose: 'refund-investigation', actions: ['read'], credentials: [{ name: 'vault-token' }] });
    await page.locator('#events').getByText(name).first().waitFor();
    expect(await page.locator('#events img').count()).toBe(0);
    expect(faults).toEqual([]);
  });

  it.each([['light', 1_280], ['dark', 1_280], ['light', 360], ['dark', 360]] as const)('fits its %s window of %i px', async (colorScheme, width) => {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width, height: 740 });
    await signIn('operator');
    const { id, task, token } = await lease();
    const asked = await waiting('x'.repeat(400));
    await Promise.all([row(id).waitFor(), card(asked).waitFor()]);
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width);
    const [ground, text] = await page.evaluate<[string, string]>('[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]');
    const lightness = (color: string): number => (color.match(/\d+/g) ?? []).slice(0, 3).map(Number).reduce((a, b) => a + b, 0);
    expect(lightness(ground) > lightness(text)).toBe(colorScheme === 'light');
    expect(await row(id).getByRole('button').isVisible()).toBe(true);
    await Promise.all([task, asked].map((one) => broker.complete({ id: one, token })));
  });

  // The last ones: this takes the database away, and the next its agents.
  it('shows what is stuck before all else, and lets an operator try again', async () => {
    await signIn('operator');
    const early = await lease(30);
    const stuck = at((await broker.grant(['orders-db'], { ttlSeconds: 60 })).credentials, 0).lease_id;
    await row(stuck).waitFor();
    await broker.stack.postgres?.stop();
    await row(stuck).getByRole('button', { name: /^Revoke/ }).click();
    await page.locator('#revoke-reason').fill('drill');
    await page.locator('#revoke-confirm').click();
    await page.locator(`tr[data-lease="${stuck}"][data-state="stuck"]`).waitFor({ timeout: 25_000 });
    await until(async () => (await page.locator('#leases tr').first().getAttribute('data-lease')) === stuck);
    expect(await row(early.id).count()).toBe(1);
    expect(await page.locator('#count-stuck').textContent()).toBe('1');
    await row(stuck).getByRole('button', { name: /^Try again/ }).click();
    await page.getByText('is being tried again').waitFor();
    expect(await page.title()).toMatch(/^\(!\)/);
    expect(faults).toEqual([]);
  }, 60_000);

  it('names who answers for an agent, and marks an overdue review and an agent that nobody registered', async () => {
    await signIn('viewer');
    const [first, second] = [await lease(), at((await broker.grant(['vault-token'], { token: await broker.agentToken(SECOND_AGENT) })).credentials, 0).lease_id];
    await row(first.id).getByText('team-refunds').waitFor();
    await row(second).getByText('team-payouts').waitFor();
    expect(await page.locator('.mark:not(:empty)').count()).toBe(0);
    await broker.reconfigure((config) => {
      config.agents = config.agents.filter(({ subject }) => subject !== SECOND_AGENT).map((agent) => ({ ...agent, review_by: '2020-01-31' }));
    });
    await page.reload();
    await row(first.id).getByText('review overdue').waitFor();
    await row(second).getByText('unregistered').waitFor();
    expect(await row(first.id).getByText('team-refunds').count()).toBe(1);
    expect(faults).toEqual([]);
  }, 90_000);
});
