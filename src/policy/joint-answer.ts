import type { Decision } from './decision.ts';

/** One answer for everything that was asked together. */
export interface JointAnswer {
  readonly result: Decision['result'];
  /** How many humans must approve before it would be a permit; 0 unless it waits for one. */
  readonly approvalsNeeded: number;
  /** Of the answers that made it so. */
  readonly policies: readonly string[];
  readonly reasons: readonly string[];
}

/** Every question must be answered with a permit: one denial denies, one that waits for a human makes all wait. */
export function jointAnswer(decisions: readonly Pick<Decision, 'result' | 'approvalsNeeded' | 'policies' | 'reasons'>[]): JointAnswer {
  const results = new Set(decisions.map(({ result }) => result));
  const result = results.has('deny') ? 'deny' : results.has('approval_required') ? 'approval_required' : 'permit';
  const telling = decisions.filter((decision) => decision.result === result);
  return {
    result,
    approvalsNeeded: result === 'approval_required' ? Math.max(...telling.map(({ approvalsNeeded }) => approvalsNeeded)) : 0,
    policies: [...new Set(telling.flatMap(({ policies }) => policies))].sort(),
    reasons: [...new Set(telling.flatMap(({ reasons }) => reasons))],
  };
}
