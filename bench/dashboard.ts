import { parseArgs } from 'node:util';
import type { Page } from 'playwright-core';
import { startChromium } from '../test/support/chromium.ts';
import { buildDashboard } from '../test/support/build-dashboard.ts';
import { openDashboard } from '../test/support/dashboard-page.ts';
import { seedLeases } from '../test/support/many-leases.ts';
import { RunningBroker } from '../test/support/running-broker.ts';
import { closedLoop, medianOf, percentile } from './closed-loop.ts';

/**
 * The dashboard among 50,000 live leases: when it first paints, how many frames it draws while events pour in and somebody scrolls,
 * and what twenty viewers cost the interface. With and without viewers in turns, so that a noisy machine is noisy for both: read the ratio.
 */

const { values: flags } = parseArgs({ options: { leases: { type: 'string', default: '50000' }, viewers: { type: 'string', default: '20' }, seconds: { type: 'string', default: '5' }, rounds: { type: 'string', default: '3' } } });
const [LEASES, VIEWERS, SECONDS, ROUNDS] = [Number(flags.leases), Number(flags.viewers), Number(flags.seconds), Number(flags.rounds)];
/** New leases while the frames are counted: two events for each sixteen. */
const BURST = SECONDS * 2_400;
const say = (text: string): void => void process.stdout.write(`${text}\n`);

/** Frames of a second, while the table is scrolled all the time. */
const frames = (page: Page): Promise<number> =>
  page.evaluate<number>(`new Promise((resolve) => {
    const table = document.querySelector('.lease-scroller');
    const begun = performance.now();
    let drawn = 0;
    const draw = () => {
      drawn += 1;
      table.scrollTop = (drawn * 40) % 40000;
      if (performance.now() - begun < ${SECONDS * 1000}) requestAnimationFrame(draw);
      else resolve(drawn / (performance.now() - begun) * 1000);
    };
    requestAnimationFrame(draw);
  })`);

const broker = await RunningBroker.start();
const browser = await startChromium();
try {
  await buildDashboard();
  const token = await broker.agentToken();
  const operator = await broker.operatorToken('viewer');
  const declare = async (): Promise<void> => {
    const grant = await broker.grant(['task-reference'], { token, ttlSeconds: 120 });
    await broker.complete(grant);
  };
  await seedLeases(broker, LEASES);
  const context = await browser.newContext({ viewport: { width: 1_280, height: 860 } });
  const ui = await openDashboard(context, broker);
  // The browser tells of a paint some time after it.
  await ui.page.waitForFunction("performance.getEntriesByName('first-contentful-paint').length > 0");
  const paint = await ui.page.evaluate<number>("performance.getEntriesByName('first-contentful-paint')[0].startTime");
  say(`first paint: ${Math.round(paint)} ms`);
  await ui.signIn('viewer', operator);
  await ui.go('leases');
  await ui.page.locator('.lease-rows [data-index="3"]').waitFor();

  const calm = await frames(ui.page);
  const counter = { events: 0 };
  const stream = new AbortController();
  const counting = countEvents(`${broker.url}/v1/events`, operator, stream.signal, counter);
  const startedMs = performance.now();
  // Declared and activated in the ledger: minting would be slower than what the page has to bear.
  const [busy, rate] = await Promise.all([frames(ui.page), seedLeases(broker, BURST).then(() => counter.events / ((performance.now() - startedMs) / 1000))]);
  stream.abort();
  await counting;
  say(`frames a second among ${LEASES} leases: ${calm.toFixed(0)} calm, ${busy.toFixed(0)} with ${rate.toFixed(0)} events a second`);

  const ratios: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const alone = percentile((await closedLoop(declare, 2, SECONDS)).latenciesMs, 0.99);
    const end = new AbortController();
    // What an open page asks: its stream, and the overview as often as it may while much happens.
    const watching = Array.from({ length: VIEWERS }, (_, viewer) => view(viewer, end.signal));
    const watched = percentile((await closedLoop(declare, 2, SECONDS)).latenciesMs, 0.99);
    end.abort();
    await Promise.all(watching);
    ratios.push(watched / alone);
    say(`p99 of declare and complete: ${alone.toFixed(0)} ms alone, ${watched.toFixed(0)} ms with ${VIEWERS} viewers`);
  }
  const { median, min, max } = medianOf(ratios);
  say(`ratio: ${median.toFixed(2)} (${min.toFixed(2)} to ${max.toFixed(2)})`);
} finally {
  await browser.close();
  await broker.stop();
}

async function countEvents(url: string, token: string, signal: AbortSignal, counter: { events: number }): Promise<void> {
  const response = await fetch(url, { headers: { Authorization: `Bearer ${token}` }, signal });
  try {
    for await (const chunk of response.body ?? []) counter.events += Buffer.from(chunk as Uint8Array).toString().match(/^data: /gm)?.length ?? 0;
  } catch {
    // Ended by us.
  }
}

/** One open page, as the broker sees it. */
async function view(viewer: number, signal: AbortSignal): Promise<void> {
  const token = await broker.stack.operators.sign({ subject: `viewer-${viewer}`, claims: { roles: ['mayfly-viewer'] } });
  const watching = countEvents(`${broker.url}/v1/events`, token, signal, { events: 0 });
  while (!signal.aborted) {
    await fetch(`${broker.url}/v1/overview`, { headers: { Authorization: `Bearer ${token}` }, signal }).then((answer) => answer.arrayBuffer()).catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, 1_500));
  }
  await watching;
}
