import type { CompiledPolicies } from './compile-policies.ts';
import type { PolicyTestResult } from './test-policies.ts';

/** Whether some case was decided by a policy. */
export interface CoveredPolicy {
  readonly id: string;
  readonly effect: 'permit' | 'forbid';
  /** Cases that it decided, or took part in deciding. */
  readonly cases: readonly string[];
}

export interface PolicyCoverage {
  readonly policies: readonly CoveredPolicy[];
  readonly covered: number;
  readonly total: number;
  /** Rounded down: 100 only where nothing is missing. */
  readonly percent: number;
}

/**
 * Which policies some case was decided by. A permit counts where the answer was a permit or waits for an approval, a forbid
 * where it denied: a policy that was only looked at proves nothing. Cases that failed do not count.
 */
export function policyCoverage(compiled: CompiledPolicies, results: readonly PolicyTestResult[]): PolicyCoverage {
  const passed = results.filter(({ ok }) => ok);
  const policies = [...compiled.effects].map(([id, effect]) => ({ id, effect, cases: passed.filter(({ policies: decided }) => decided.includes(id)).map(({ name }) => name) }));
  const covered = policies.filter(({ cases }) => cases.length > 0).length;
  return { policies, covered, total: policies.length, percent: Math.floor((100 * covered) / policies.length) };
}
