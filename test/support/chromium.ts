import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core';
import { findChromium } from '../../dev/find-tools.ts';

const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];

/** Debian's Chromium, or undefined where it cannot be had. */
export const chromiumPath = findChromium();

/** A browser with a new profile of its own, in the temporary folder; both gone after `close()`. */
export function startChromium(): Promise<Browser> {
  if (chromiumPath === undefined) throw new Error('there is no Chromium');
  return chromium.launch({ executablePath: chromiumPath, headless: true, args: FLAGS });
}

/** A page, and everything in it that went wrong: errors, refusals of the content security policy, requests elsewhere. */
export async function openPage(context: BrowserContext, url: string): Promise<{ readonly page: Page; readonly faults: string[]; readonly urls: string[] }> {
  const page = await context.newPage();
  const faults: string[] = [];
  const urls: string[] = [];
  page.on('pageerror', (error) => faults.push(String(error)));
  // A refused request is written to the console by the browser itself, and is not a fault of the page.
  page.on('console', (message) => (message.type() === 'error' && !message.text().startsWith('Failed to load resource') ? faults.push(message.text()) : undefined));
  page.on('request', (request) => urls.push(request.url()));
  await page.goto(url);
  return { page, faults, urls };
}
