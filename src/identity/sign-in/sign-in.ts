import type { OperatorsConfig, SignInConfig } from '../../config/config-schema.ts';
import type { Clock } from '../../core/clock.ts';
import { Problem } from '../../core/problem.ts';
import type { Secret } from '../../core/secret.ts';
import { addSeconds, epochMsFrom, type EpochMs } from '../../core/time.ts';
import type { KeySources } from '../key-sources.ts';
import type { SessionRecords } from '../session.ts';
import type { Person, Sessions } from '../sessions.ts';
import { posesAsSpiffeId } from '../spiffe-id.ts';
import { oidcExpectation, operatorRole } from '../token-kinds.ts';
import { refused, SKEW_SECONDS, verifyToken } from '../verify-token.ts';
import type { IssuerClient } from './issuer-client.ts';
import { LOGOUT_TYPES, verifyLogoutToken } from './logout-token.ts';
import type { RefusalRecord } from './refusal-record.ts';
import { RoleMissing } from './role-missing.ts';
import { SignInRefused } from './sign-in-refused.ts';
import type { SignInAttempt, SignInAttempts } from './sign-in-attempt.ts';

export interface SignInDeps {
  readonly operators: OperatorsConfig;
  readonly signIn: SignInConfig;
  readonly client: IssuerClient;
  readonly attempts: SignInAttempts;
  readonly sessions: Sessions;
  readonly records: SessionRecords;
  readonly refusals: RefusalRecord;
  readonly keys: KeySources;
  readonly useOnce: (what: string, untilMs: EpochMs) => Promise<boolean>;
  readonly wasUsed: (what: string) => Promise<boolean>;
  readonly clock: Clock;
}

/** What came of a person's return from the issuer. */
export interface SignedIn {
  /** What the browser shall hold. */
  readonly secret: Secret;
  readonly returnTo: string;
}

/** Lets people in by what their issuer says of them, and out by their own word or the issuer's. */
export class SignIn {
  readonly #deps: SignInDeps;

  constructor(deps: SignInDeps) {
    this.#deps = deps;
  }

  /** Begins an attempt: where to send the browser, and what it holds meanwhile. Throws `identity_unavailable`. */
  async begin(returnTo: string, fresh: boolean): Promise<{ readonly url: URL; readonly attempt: SignInAttempt }> {
    const { attempts, client, refusals } = this.#deps;
    const attempt = attempts.begin(returnTo);
    try {
      return { url: await client.authorizationUrl(attempt, fresh), attempt };
    } catch (error) {
      refusals.count(error);
      throw error;
    }
  }

  /**
   * Ends an attempt with a session, if the issuer vouches for the person and its claims give a role.
   *
   * @param cookie what the browser holds of the attempt.
   * @param query of its return, as it came.
   * @param before the session that it holds already: it ends, whosever it is.
   *
   * Throws `sign_in_refused`, on the record, `identity_unavailable` or `ledger_unavailable`.
   */
  async complete(cookie: string | null, query: string, before: string | null): Promise<SignedIn> {
    const { attempts, client, records, refusals, sessions, useOnce } = this.#deps;
    try {
      const attempt = attempts.resume(cookie);
      if (attempt === null) throw new SignInRefused('not_begun', 'this browser has begun no sign-in, or too long ago; start again');
      if (!(await useOnce(JSON.stringify(['sign-in', attempt.id]), attempt.untilMs))) throw new SignInRefused('replayed', 'this sign-in was completed before; start again');
      const person = await this.#personOf(await client.redeem(query, attempt));
      const standing = await records.standingOf(person);
      const previous = before === null ? null : await sessions.find(before);
      if (previous !== null) await records.endSession(previous, 'replaced');
      return { secret: await sessions.open(person, standing), returnTo: attempt.returnTo };
    } catch (error) {
      await refusals.note(error);
      throw error;
    }
  }

  /** Ends the session that goes by this secret; with `everywhere` all of its person. Answers where to end the issuer's own, if that can be. */
  async signOut(secret: string, everywhere: boolean): Promise<string | null> {
    const session = await this.#deps.sessions.find(secret);
    if (session === null) return null;
    if (everywhere) await this.#deps.records.endSessions({ why: 'signed_out_everywhere', person: session, by: session, reason: null });
    await this.#deps.records.endSession(session, 'signed_out');
    return this.#deps.client.endSessionUrl();
  }

  /** Ends the sessions that a logout token names. Throws `invalid_token`, also for one that came before. */
  async logOut(token: string): Promise<void> {
    const { operators, records, useOnce, wasUsed, clock } = this.#deps;
    const logout = await verifyLogoutToken(token, { ...this.#expectation(), types: LOGOUT_TYPES }, clock);
    const what = JSON.stringify(['logout', operators.issuer, logout.id]);
    if (await wasUsed(what)) throw refused('it came before');
    const person = logout.subject === null ? null : { issuer: operators.issuer, subject: logout.subject };
    await records.endSessions({ why: 'ended_by_issuer', issuer: operators.issuer, person, sid: logout.sid });
    // Marked only now: had the end failed, the issuer's next try must not be taken for a replay. Two at once end the same.
    await useOnce(what, addSeconds(epochMsFrom(logout.expiresAtMs), SKEW_SECONDS));
  }

  async #personOf(idToken: Secret): Promise<Person> {
    const { operators, clock } = this.#deps;
    const { subject, claims } = await verifyToken(idToken.expose(), this.#expectation(), clock.now()).catch((cause: unknown) => {
      if (!(cause instanceof Problem) || cause.code !== 'invalid_token') throw cause;
      throw new SignInRefused('bad_id_token', cause.message.replace(/^the token/, "the issuer's id token"), { cause });
    });
    if (posesAsSpiffeId(subject)) throw new SignInRefused('bad_id_token', 'the issuer names a workload, which never signs in');
    const person = { issuer: operators.issuer, subject };
    const role = operatorRole(claims, operators);
    if (role === undefined) throw new RoleMissing(person, operators.roles_claim);
    const { sid } = claims;
    return { ...person, role, issuerSession: typeof sid === 'string' && sid !== '' ? sid : null };
  }

  /** Of id tokens and logout tokens alike: signed by the operators' issuer, for this client alone. */
  #expectation() {
    const { operators, signIn, keys } = this.#deps;
    return oidcExpectation({ ...operators, audience: signIn.client_id }, { keys });
  }
}
