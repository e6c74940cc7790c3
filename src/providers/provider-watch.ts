import { setTimeout as sleep } from 'node:timers/promises';
import type { CredentialProvider } from './credential-provider.ts';
import { withDeadline } from '../core/with-deadline.ts';

export interface ProviderState {
  readonly name: string;
  readonly ok: boolean;
  /** For people. */
  readonly detail: string;
}

const EVERY_MS = 1_000;
const TIMEOUT_MS = 2_000;

/** Asks each provider about once a second whether it is usable, so that health and metrics can answer without waiting. */
export class ProviderWatch {
  readonly #providers: ReadonlyMap<string, CredentialProvider>;
  readonly #log: { warn(fields: object, message: string): void; info(fields: object, message: string): void };
  readonly #states = new Map<string, ProviderState>();
  readonly #stop = new AbortController();

  constructor(providers: ReadonlyMap<string, CredentialProvider>, log: { warn(fields: object, message: string): void; info(fields: object, message: string): void }) {
    this.#providers = providers;
    this.#log = log;
  }

  start(): void {
    for (const provider of this.#providers.values()) void this.#watch(provider);
  }

  stop(): void {
    this.#stop.abort();
  }

  /** The last known state of each; one that was not asked yet is not ok. */
  states(): ProviderState[] {
    return [...this.#providers.keys()].map((name) => this.#states.get(name) ?? { name, ok: false, detail: 'not asked yet' });
  }

  /** Whether a provider did not answer when it was last asked. */
  isAway(name: string): boolean {
    return this.#states.get(name)?.ok === false;
  }

  async #watch(provider: CredentialProvider): Promise<void> {
    const { name } = provider;
    while (!this.#stop.signal.aborted) {
      const state = await this.#ask(provider);
      const before = this.#states.get(name);
      if (before?.ok !== state.ok) {
        if (state.ok) this.#log.info({ provider: name }, 'the provider answers');
        else this.#log.warn({ provider: name, detail: state.detail }, 'the provider does not answer');
      }
      this.#states.set(name, state);
      await sleep(EVERY_MS, undefined, { signal: this.#stop.signal, ref: false }).catch(() => undefined);
    }
  }

  async #ask(provider: CredentialProvider): Promise<ProviderState> {
    try {
      await withDeadline(TIMEOUT_MS, this.#stop.signal, (signal) => provider.checkHealth(signal));
      return { name: provider.name, ok: true, detail: 'answers' };
    } catch (error) {
      return { name: provider.name, ok: false, detail: error instanceof Error ? error.message : 'does not answer' };
    }
  }
}
