import type { Browser, BrowserContext, BrowserContextOptions } from 'playwright-core';
import { buildDashboard } from './build-dashboard.ts';
import { startChromium } from './chromium.ts';
import { openDashboard, type DashboardPage } from './dashboard-page.ts';
import { RunningBroker } from './running-broker.ts';
import { startWebhookServer, type WebhookServer } from './webhook-server.ts';

type Role = 'viewer' | 'operator' | 'admin';

const SIZE = { width: 1_280, height: 800 };

/** One stack and one browser for all that is looked at in Chromium: to start them takes longer than most of what is looked at. */
export class BrowserWorld {
  #broker: RunningBroker | undefined;
  #browser: Browser | undefined;
  /** Is told of what happens to webhooks. */
  #soc: WebhookServer | undefined;
  readonly #signedIn = new Map<Role, DashboardPage>();
  readonly #ofThisTest: BrowserContext[] = [];

  get broker(): RunningBroker {
    return started(this.#broker);
  }

  get browser(): Browser {
    return started(this.#browser);
  }

  get soc(): WebhookServer {
    return started(this.#soc);
  }

  /** @param webhookSecretFile what is sent to `soc` is signed with */
  async start(webhookSecretFile: string): Promise<void> {
    await buildDashboard();
    this.#soc = await startWebhookServer();
    this.#broker = await RunningBroker.start({
      limits: { waiting_approvals_per_agent: 10 },
      revocation: { stuck_after_seconds: 2, retry_first_ms: 300, retry_max_ms: 1_000, orphan_grace_seconds: 0 },
      webhooks: [{ name: 'soc', url: this.#soc.url, events: ['webhook.*'], secret_files: [webhookSecretFile], allow_private_addresses: true }],
    });
    this.#browser = await startChromium();
  }

  async stop(): Promise<void> {
    await this.#browser?.close();
    await this.#broker?.stop();
    this.#soc?.stop();
  }

  /** A profile of its own, without motion; gone after the test. */
  async context(options: BrowserContextOptions = {}): Promise<BrowserContext> {
    const context = await this.browser.newContext({ viewport: SIZE, reducedMotion: 'reduce', ...options });
    context.setDefaultTimeout(15_000);
    this.#ofThisTest.push(context);
    return context;
  }

  /** The dashboard in such a profile, with nobody signed in. */
  async opened(options: BrowserContextOptions = {}): Promise<DashboardPage> {
    return openDashboard(await this.context(options), this.broker);
  }

  /** The page of an operator of this role: signed in once, and used by one test after the other. */
  async as(role: Role): Promise<DashboardPage> {
    const there = this.#signedIn.get(role);
    if (there !== undefined) return there;
    const ui = await this.opened();
    this.#ofThisTest.pop();
    await ui.signIn(role);
    this.#signedIn.set(role, ui);
    return ui;
  }

  /** After each test: the next finds the pages as after signing in. Answers what went wrong in them. */
  async tidy(): Promise<string[]> {
    for (const context of this.#ofThisTest.splice(0)) await context.close();
    const faults: string[] = [];
    for (const ui of this.#signedIn.values()) {
      faults.push(...ui.faults.splice(0));
      await ui.page.unrouteAll();
      await ui.page.setViewportSize(SIZE);
      if ((await ui.dialog.count()) > 0) await ui.page.keyboard.press('Escape');
      await ui.go('');
    }
    return faults;
  }
}

function started<T>(part: T | undefined): T {
  if (part === undefined) throw new Error('the world has not been started');
  return part;
}
