import { createCedarEngine } from './cedar-engine.ts';
import type { CompiledPolicies } from './compile-policies.ts';
import type { PolicyEngine } from './decision.ts';
import { loadPolicies } from './load-policies.ts';
import { PolicyFolder } from './policy-folder.ts';

/** What came of a changed folder. */
export type PolicyChange =
  | { readonly type: 'reloaded'; readonly from: string; readonly to: string; readonly added: readonly string[]; readonly removed: readonly string[]; readonly changed: readonly string[]; readonly schemaChanged: boolean }
  /** The set in force stays. */
  | { readonly type: 'refused'; readonly inForce: string; readonly error: Error };

export interface LivePoliciesOptions {
  readonly directory: string;
  /** How often the folder is looked at, ms. */
  readonly intervalMs: number;
  readonly onChange: (change: PolicyChange) => void;
}

/**
 * Policies that follow their folder. A change is read as a whole, compiled, and put in force in one step; a set that
 * does not compile is told of once and changes nothing. Decisions are synchronous, so each is made by one set. Throws
 * `PolicyError` when the first set does not load.
 */
export class LivePolicies implements PolicyEngine {
  readonly #options: LivePoliciesOptions;
  #compiled: CompiledPolicies;
  #engine: PolicyEngine;
  readonly #folder: PolicyFolder;

  constructor(options: LivePoliciesOptions) {
    this.#options = options;
    this.#folder = new PolicyFolder(options.directory, options.intervalMs, () => this.reload());
    this.#compiled = loadPolicies(options.directory);
    this.#engine = createCedarEngine(this.#compiled);
  }

  get version(): string {
    return this.#engine.version;
  }

  get vocabulary(): PolicyEngine['vocabulary'] {
    return this.#engine.vocabulary;
  }

  get compiled(): CompiledPolicies {
    return this.#compiled;
  }

  decide: PolicyEngine['decide'] = (question) => this.#engine.decide(question);

  start(): void {
    this.#folder.start();
  }

  stop(): void {
    this.#folder.stop();
  }

  /** Reads the folder now, whether or not it looks changed. */
  reload(): void {
    this.#folder.note();
    let next: CompiledPolicies;
    try {
      next = loadPolicies(this.#options.directory);
      if (next.version === this.#compiled.version) return;
      this.#engine = createCedarEngine(next);
    } catch (error) {
      this.#options.onChange({ type: 'refused', inForce: this.#compiled.version, error: error instanceof Error ? error : new Error(String(error)) });
      return;
    }
    const before = this.#compiled;
    this.#compiled = next;
    this.#options.onChange({ type: 'reloaded', from: before.version, to: next.version, ...policyDifference(before, next) });
  }
}

/** What an edit did to a set. */
export function policyDifference(before: CompiledPolicies, after: CompiledPolicies): { added: string[]; removed: string[]; changed: string[]; schemaChanged: boolean } {
  return {
    added: [...after.texts.keys()].filter((id) => !before.texts.has(id)),
    removed: [...before.texts.keys()].filter((id) => !after.texts.has(id)),
    changed: [...after.texts].filter(([id, text]) => before.texts.has(id) && before.texts.get(id) !== text).map(([id]) => id),
    schemaChanged: before.schemaText !== after.schemaText,
  };
}
