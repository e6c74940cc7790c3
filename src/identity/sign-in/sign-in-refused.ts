import { Problem, type ProblemOptions } from '../../core/problem.ts';

/** Every class of reason for which nobody is signed in; a label of a metric, so the list is short and closed. */
export const REFUSAL_REASONS = ['no_role', 'declined', 'issuer_refused', 'wrong_answer', 'bad_id_token', 'not_begun', 'replayed', 'unavailable', 'limited', 'internal'] as const;
export type RefusalReason = (typeof REFUSAL_REASONS)[number];

/** Somebody is not signed in: `sign_in_refused`, with the class of reason. */
export class SignInRefused extends Problem {
  readonly reason: RefusalReason;

  constructor(reason: RefusalReason, detail: string, options: ProblemOptions = {}) {
    super('sign_in_refused', detail, options);
    this.reason = reason;
  }
}

/** Why an attempt to sign in failed. */
export function refusalReasonOf(error: unknown): RefusalReason {
  if (error instanceof SignInRefused) return error.reason;
  if (!(error instanceof Problem)) return 'internal';
  if (error.code === 'limit_exceeded') return 'limited';
  return error.status === 503 ? 'unavailable' : 'internal';
}
