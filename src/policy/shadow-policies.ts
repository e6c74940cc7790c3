import type { Clock } from '../core/clock.ts';
import { createCedarEngine } from './cedar-engine.ts';
import type { CompiledPolicies } from './compile-policies.ts';
import type { Decision, PolicyEngine, PolicyQuestion } from './decision.ts';
import { jointAnswer } from './joint-answer.ts';
import { policyDifference, type PolicyChange } from './live-policies.ts';
import { loadPolicies } from './load-policies.ts';
import { PolicyFolder } from './policy-folder.ts';

/** What the shadow set would have answered. */
export interface ShadowAnswer {
  readonly result: Decision['result'];
  readonly policies: readonly string[];
  readonly policyVersion: string;
  /** Set where it could not be asked properly; the result is then a deny, as it would be of the set in force. */
  readonly fault: string | null;
}

export interface ShadowPoliciesOptions {
  readonly directory: string;
  /** How often the folder is looked at, ms. */
  readonly intervalMs: number;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly onChange: (change: PolicyChange) => void;
  /** Too slow again and again: not asked for a while. */
  readonly onSuspended: (facts: { readonly took_ms: number; readonly resting_ms: number }) => void;
}

/** A grant waits for the shadow's answer at most about this often and this long. */
const SLOW_MS = 50;
const SLOW_IN_A_ROW = 3;
const REST_MS = 60_000;
const NONE = 'none';

/**
 * A second set that is asked what the set in force is asked, and decides nothing: its answer goes on the record. Follows its
 * folder as the set in force does. It never throws: a folder that is missing or broken has no answer until it is mended, and
 * one that is slow is left out for a minute.
 */
export class ShadowPolicies {
  readonly #options: ShadowPoliciesOptions;
  readonly #folder: PolicyFolder;
  #set: { readonly compiled: CompiledPolicies; readonly engine: PolicyEngine } | null = null;
  #slowInARow = 0;
  #restsUntilMs = -Infinity;

  constructor(options: ShadowPoliciesOptions) {
    this.#options = options;
    this.#folder = new PolicyFolder(options.directory, options.intervalMs, () => this.reload());
  }

  /** `none` while there is no set that loads. */
  get version(): string {
    return this.#set?.compiled.version ?? NONE;
  }

  /** Reads the folder, and follows it from now on. */
  start(): void {
    this.reload();
    this.#folder.start();
  }

  stop(): void {
    this.#folder.stop();
  }

  /** Reads the folder now. A set that does not load is told of and leaves the one before, if any. */
  reload(): void {
    this.#folder.note();
    const before = this.#set?.compiled;
    try {
      const compiled = loadPolicies(this.#options.directory);
      if (compiled.version === before?.version) return;
      this.#set = { compiled, engine: createCedarEngine(compiled, 'shadow') };
      this.#slowInARow = 0;
      this.#restsUntilMs = -Infinity;
      const difference = before === undefined ? { added: [...compiled.texts.keys()], removed: [], changed: [], schemaChanged: true } : policyDifference(before, compiled);
      this.#options.onChange({ type: 'reloaded', from: before?.version ?? NONE, to: compiled.version, ...difference });
    } catch (error) {
      this.#options.onChange({ type: 'refused', inForce: before?.version ?? NONE, error: error instanceof Error ? error : new Error(String(error)) });
    }
  }

  /** Its answer to questions that were asked together; null while it has none to give. */
  answer(questions: readonly PolicyQuestion[]): ShadowAnswer | null {
    const set = this.#set;
    if (set === null || questions.length === 0) return null;
    const askedMs = this.#options.clock.monotonicMs();
    if (askedMs < this.#restsUntilMs) return null;
    try {
      const decisions = questions.map((question) => set.engine.decide(question));
      this.#noteTime(this.#options.clock.monotonicMs() - askedMs);
      const { result, policies } = jointAnswer(decisions);
      return { result, policies, policyVersion: set.compiled.version, fault: decisions.find(({ fault }) => fault !== null)?.fault ?? null };
    } catch (error) {
      return { result: 'deny', policies: [], policyVersion: set.compiled.version, fault: error instanceof Error ? error.message : 'the shadow policies could not be asked' };
    }
  }

  /** An evaluation cannot be broken off in the middle, so a slow set is not asked again for a while. */
  #noteTime(tookMs: number): void {
    this.#slowInARow = tookMs > SLOW_MS ? this.#slowInARow + 1 : 0;
    if (this.#slowInARow < SLOW_IN_A_ROW) return;
    this.#slowInARow = 0;
    this.#restsUntilMs = this.#options.clock.monotonicMs() + REST_MS;
    this.#options.onSuspended({ took_ms: Math.round(tookMs), resting_ms: REST_MS });
  }
}

/** What the audit log keeps of it. */
export const shadowFacts = ({ result, policies, policyVersion, fault }: ShadowAnswer): Record<string, unknown> => ({
  result,
  policies,
  policy_version: policyVersion,
  ...(fault === null ? {} : { fault }),
});
