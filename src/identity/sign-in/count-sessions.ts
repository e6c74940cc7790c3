import type { SessionEnd, SessionRecords, SessionsEnd } from '../session.ts';
import { REFUSAL_REASONS, type RefusalReason } from './sign-in-refused.ts';

const ENDS = ['signed_out', 'replaced', 'signed_out_everywhere', 'signed_out_by_admin', 'ended_by_issuer', 'ended_by_signal'] as const satisfies readonly (SessionEnd | SessionsEnd['why'])[];

/** What is counted of sign-ins: bounded, and nothing of who it was. */
export type SignInOutcome =
  | { readonly outcome: 'signed_in'; readonly reason: 'none' }
  | { readonly outcome: 'refused'; readonly reason: RefusalReason }
  | { readonly outcome: 'ended'; readonly reason: (typeof ENDS)[number] }
  | { readonly outcome: 'logout_refused'; readonly reason: 'bad_token' | 'limited' };

export type CountSignIn = (outcome: SignInOutcome) => void;

/** Every one there is. */
export const SIGN_IN_OUTCOMES: readonly SignInOutcome[] = [
  { outcome: 'signed_in', reason: 'none' },
  ...REFUSAL_REASONS.map((reason) => ({ outcome: 'refused', reason }) as const),
  ...ENDS.map((reason) => ({ outcome: 'ended', reason }) as const),
  { outcome: 'logout_refused', reason: 'bad_token' },
  { outcome: 'logout_refused', reason: 'limited' },
];

/** The same records, which also count each session that is opened, and each time that some are ended. */
export function countSessions<T extends SessionRecords>(records: T, count: CountSignIn): T {
  return {
    ...records,
    openSession: async (session, forgetAtMs) => {
      await records.openSession(session, forgetAtMs);
      count({ outcome: 'signed_in', reason: 'none' });
    },
    endSession: async (session, why) => {
      await records.endSession(session, why);
      count({ outcome: 'ended', reason: why });
    },
    endSessions: async (end) => {
      await records.endSessions(end);
      count({ outcome: 'ended', reason: end.why });
    },
  };
}
