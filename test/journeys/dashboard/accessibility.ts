import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { expect, it } from '@jest/globals';
import type { BrowserWorld } from '../../support/browser-world.ts';
import { oneLease, type DashboardPage } from '../../support/dashboard-page.ts';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
/** Nothing but these looks at colours: the theme changes nothing else. */
const OF_COLOURS = ['color-contrast', 'link-in-text-block'];
/** The narrow one is 1280 px at 400 % (WCAG 2.2, 1.4.10). */
const [WIDE, NARROW] = [1_280, 320];

/** What axe finds serious or critical, each in a line. */
const audit = (ui: DashboardPage, rules: readonly string[] | null): Promise<string[]> =>
  ui.page.evaluate<string[]>(`axe.run(document, ${JSON.stringify({ resultTypes: ['violations'], ...(rules === null ? {} : { runOnly: { type: 'rule', values: rules } }) })}).then(({ violations }) =>
    violations.filter(({ impact }) => impact === 'serious' || impact === 'critical').map(({ id, nodes: [first] }) => id + ' ' + first.html.slice(0, 160) + ' ' + first.failureSummary.slice(0, 300)))`);

/** After what follows a change of size, of the page itself and of those who observe it. */
const drawn = (ui: DashboardPage): Promise<unknown> => ui.page.evaluate('new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))');

const lightness = async (ui: DashboardPage, of: 'backgroundColor' | 'color'): Promise<number> =>
  ((await ui.page.evaluate<string>(`getComputedStyle(document.documentElement).${of}`)).match(/\d+/g) ?? []).slice(0, 3).map(Number).reduce((a, b) => a + b, 0);

/** Of the open dialog, or of the whole page: controls that cannot be brought into sight, and text that is cut off. */
const HIDDEN = `(() => {
  const root = document.querySelector('dialog[open]') ?? document;
  const shown = (one) => one.checkVisibility({ visibilityProperty: true }) && one.closest('.unseen, .skip, .life, .lease-head') === null;
  const name = (what, one) => what + ': ' + one.outerHTML.slice(0, 140);
  const controls = [...root.querySelectorAll('button, a, input, select, summary')].filter(shown).flatMap((one) => {
    one.scrollIntoView({ block: 'center', inline: 'center' });
    if (!one.isConnected) return [];
    const { left, right, top, bottom } = one.getBoundingClientRect();
    if (left < -1 || right > innerWidth + 1) return [name('outside', one)];
    const [box] = one.getClientRects();
    const there = document.elementFromPoint((box.left + box.right) / 2, (box.top + box.bottom) / 2);
    return there !== null && (one.contains(there) || there.contains(one)) ? [] : [name('covered', one)];
  });
  const clips = (one) => { const { overflowX, contain } = getComputedStyle(one); return ['hidden', 'clip'].includes(overflowX) || /paint|strict|content/.test(contain); };
  const cut = [...root.querySelectorAll('main *, dialog *, header *')].filter((one) => shown(one) && clips(one) && (one.scrollWidth > one.clientWidth + 1 || one.scrollHeight > one.clientHeight + 1)).map((one) => name('cut off', one));
  // A table may scroll within itself; where leases are cards there is no table.
  const aside = [...root.querySelectorAll('.lease-scroller')].filter((one) => matchMedia('(max-width: 56rem)').matches && one.scrollWidth > one.clientWidth).map((one) => name('scrolls sideways', one));
  scrollTo(0, 0);
  return [...controls, ...cut, ...aside];
})()`;

/** Goes through the page with Tab; answers what had the focus out of sight, and how many had it. */
async function walk(ui: DashboardPage): Promise<{ readonly unseen: readonly string[]; readonly stops: number }> {
  await ui.page.evaluate("document.querySelectorAll('[data-walked]').forEach((one) => delete one.dataset.walked); document.querySelector('.skip').focus(); scrollTo(0, 0)");
  const unseen: string[] = [];
  for (let stops = 0; ; stops += 1) {
    await ui.page.keyboard.press('Tab');
    const said = await ui.page.evaluate<string | null>(`(() => {
      const one = document.activeElement;
      if (one === document.body || one.dataset.walked) return null;
      one.dataset.walked = 'yes';
      const [box] = one.getClientRects();
      const [x, y] = [(Math.max(0, box.left) + Math.min(innerWidth, box.right)) / 2, (Math.max(0, box.top) + Math.min(innerHeight, box.bottom)) / 2];
      const there = document.elementFromPoint(x, y);
      return there !== null && (one.contains(there) || there.contains(one)) ? '' : one.outerHTML.slice(0, 140);
    })()`);
    if (said === null || stops > 200) return { unseen, stops };
    if (said !== '') unseen.push(said);
  }
}

/** Whoever reads it, however: by eye in either theme, at any width, enlarged, or by ear. */
export function accessibility(world: BrowserWorld, places: () => Readonly<Record<string, string>>): void {
  it(`has nothing serious for axe to find, and nothing to scroll sideways: light and dark, ${WIDE} and ${NARROW} px`, async () => {
    const ui = await world.opened({ bypassCSP: true });
    const { lease, id, token } = await oneLease(world.broker);
    const found: string[] = [];
    const look = async (where: string): Promise<void> => {
      for (const width of [WIDE, NARROW]) {
        await ui.page.setViewportSize({ width, height: 740 });
        for (const colorScheme of ['light', 'dark'] as const) {
          await ui.page.emulateMedia({ colorScheme });
          await drawn(ui);
          found.push(...(await audit(ui, colorScheme === 'light' ? null : OF_COLOURS)).map((one) => `${where}, ${colorScheme}, ${width}: ${one}`));
        }
        expect([where, width, await ui.page.evaluate<number>('document.documentElement.scrollWidth')]).toEqual([where, width, width]);
      }
    };
    await ui.page.evaluate(AXE);
    await ui.page.locator('.sign-in').waitFor();
    await look('sign-in');
    await ui.signIn('operator');
    for (const [view, place] of Object.entries(places())) {
      await ui.go(place);
      if (view === 'leases') await ui.row(lease).waitFor();
      else await ui.page.locator('main h2, main h3').first().waitFor({ state: 'attached' });
      await look(view);
    }
    await ui.page.evaluate("document.querySelector('main').focus()");
    await ui.page.keyboard.press('?');
    await ui.dialog.waitFor();
    await look('help');
    await ui.page.keyboard.press('Escape');
    await ui.go('leases');
    await ui.row(lease).locator('button.revoke:enabled').click();
    await ui.dialog.getByText('1 lease would end').waitFor();
    await look('revoke');
    // What is emulated is drawn, and what axe would find is found (the control).
    for (const colorScheme of ['light', 'dark'] as const) {
      await ui.page.emulateMedia({ colorScheme });
      expect((await lightness(ui, 'backgroundColor')) > (await lightness(ui, 'color'))).toBe(colorScheme === 'light');
    }
    await ui.page.evaluate("document.querySelector('dialog p').style.color = '#444'");
    expect((await audit(ui, OF_COLOURS)).join()).toContain('color-contrast');
    expect(found).toEqual([]);
    await world.broker.complete({ id, token });
  }, 90_000);

  it('has a target of 24 px for every control, at any width', async () => {
    const ui = await world.as('operator');
    await ui.page.setViewportSize({ width: NARROW, height: 740 });
    for (const place of ['', 'leases', 'approvals', 'locks', 'agents']) {
      await ui.go(place);
      await ui.page.locator('main button, main a, main summary').first().waitFor();
      const small = await ui.page.evaluate<string[]>(
        "[...document.querySelectorAll('button, select, input, summary, nav a')].filter((one) => one.checkVisibility()).map((one) => [one, one.getBoundingClientRect(), one.closest('.pick')?.getBoundingClientRect()]).filter(([, box, cell]) => Math.min(cell?.width ?? box.width, cell?.height ?? box.height) < 24).map(([one]) => one.outerHTML.slice(0, 120))",
      );
      expect([place, small]).toEqual([place, []]);
    }
  });

  // WCAG 2.2, 1.4.4 and 1.4.10: half the width and height is what is left of 1280 x 1024 at 200 %.
  it('cuts nothing off at 200 %, zoomed or with text alone enlarged, and is walked through with the keyboard', async () => {
    const ui = await world.as('operator');
    const { lease, id, token } = await oneLease(world.broker);
    const look = async (where: string): Promise<void> => {
      await drawn(ui);
      expect([where, await ui.page.evaluate('document.documentElement.scrollWidth - innerWidth'), await ui.page.evaluate<string[]>(HIDDEN)]).toEqual([where, 0, []]);
    };
    const lookAtAll = async (how: string, andWalk: boolean): Promise<void> => {
      for (const [view, place] of Object.entries(places())) {
        await ui.go(place);
        if (view === 'leases') await ui.row(lease).waitFor();
        else await ui.page.locator('main h2, main h3').first().waitFor({ state: 'attached' });
        await look(`${view}, ${how}`);
        if (!andWalk) continue;
        const { unseen, stops } = await walk(ui);
        expect([view, unseen]).toEqual([view, []]);
        expect(stops).toBeGreaterThan(10);
      }
    };
    const dialogs = async (how: string): Promise<void> => {
      await ui.go('leases');
      await ui.row(lease).locator('button.revoke:enabled').click();
      await ui.dialog.getByText('1 lease would end').waitFor();
      await look(`revoke, ${how}`);
      await ui.page.keyboard.press('Escape');
      await ui.go('locks');
      await ui.page.getByRole('button', { name: 'Lock…' }).click();
      await look(`lock, ${how}`);
      await ui.page.keyboard.press('Escape');
    };
    await ui.page.setViewportSize({ width: 640, height: 512 });
    await lookAtAll('zoomed', true);
    await dialogs('zoomed');
    await ui.page.setViewportSize({ width: 1_280, height: 1_024 });
    // As a reader sets it in their browser.
    const devtools = await ui.page.context().newCDPSession(ui.page);
    await devtools.send('Page.setFontSizes', { fontSizes: { standard: 32 } });
    try {
      expect(await ui.page.evaluate('getComputedStyle(document.documentElement).fontSize')).toBe('28px');
      await lookAtAll('text enlarged', false);
      await dialogs('text enlarged');
    } finally {
      await devtools.send('Page.setFontSizes', { fontSizes: { standard: 16 } });
    }
    // By keyboard alone, where there is little room.
    await ui.page.setViewportSize({ width: 640, height: 512 });
    await ui.go('leases');
    await ui.row(lease).focus();
    await ui.page.keyboard.press('r');
    await ui.dialog.getByText('1 lease would end').waitFor();
    await ui.reason.focus();
    await ui.page.keyboard.type('seen in a log');
    await ui.page.keyboard.press('Enter');
    await ui.page.locator('.results[data-done="true"]').waitFor();
    await look('results, zoomed');
    await ui.page.keyboard.press('Escape');
    await ui.row(lease).waitFor({ state: 'detached' });
    await world.broker.complete({ id, token });
  }, 90_000);
}
