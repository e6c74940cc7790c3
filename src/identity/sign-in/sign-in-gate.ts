import type { Clock } from '../../core/clock.ts';
import { Problem } from '../../core/problem.ts';
import type { CountSignIn } from './count-sessions.ts';
import { RequestRate, type Allowance } from './request-rate.ts';

/** Lets only so many strangers at what people sign in by, and at what the issuer ends sessions by: each has allowances of its own. */
export class SignInGate {
  readonly #signIns: RequestRate;
  readonly #logouts: RequestRate;
  readonly #count: CountSignIn;

  constructor(allowance: Allowance, { clock, count }: { readonly clock: Pick<Clock, 'monotonicMs'>; readonly count: CountSignIn }) {
    this.#signIns = new RequestRate(allowance, clock);
    this.#logouts = new RequestRate(allowance, clock);
    this.#count = count;
  }

  /** Lets a browser pass on its way to the issuer or back. Throws `limit_exceeded`. */
  admit(address: string | undefined): void {
    try {
      this.#signIns.take(address);
    } catch (error) {
      this.#count({ outcome: 'refused', reason: 'limited' });
      throw error;
    }
  }

  /** Somebody signed in from there. */
  signedIn(address: string | undefined): void {
    this.#signIns.prove(address);
  }

  /** Lets a logout token pass. Only those that are refused are counted: the issuer can end as many sessions as it likes. Throws `limit_exceeded`, and what `logOut` throws. */
  async logOut(address: string | undefined, logOut: () => Promise<void>): Promise<void> {
    try {
      this.#logouts.check(address);
    } catch (error) {
      this.#count({ outcome: 'logout_refused', reason: 'limited' });
      throw error;
    }
    try {
      await logOut();
    } catch (error) {
      if (error instanceof Problem && error.code === 'invalid_token') {
        this.#logouts.count(address);
        this.#count({ outcome: 'logout_refused', reason: 'bad_token' });
      }
      throw error;
    }
    this.#logouts.prove(address);
  }
}
