import { createHash, randomBytes } from 'node:crypto';
import { canonicalJson } from '../core/canonical-json.ts';
import type { Clock } from '../core/clock.ts';
import { sessionIdFrom, type SessionId } from '../core/ids.ts';
import { Problem } from '../core/problem.ts';
import { Secret } from '../core/secret.ts';
import { addMs, type EpochMs } from '../core/time.ts';
import type { OperatorsConfig, SignInConfig } from '../config/config-schema.ts';
import type { Operator, OperatorRole, WorkloadId } from './caller.ts';
import type { Session, SessionRecords } from './session.ts';

export interface SessionsDeps {
  readonly records: SessionRecords;
  readonly operators: Pick<OperatorsConfig, 'issuer' | 'roles' | 'roles_claim'>;
  readonly signIn: Pick<SignInConfig, 'client_id' | 'idle_minutes' | 'max_hours'>;
  readonly clock: Clock;
}

/** A person, as the issuer's id token told. */
export interface Person extends WorkloadId {
  readonly role: OperatorRole;
  readonly issuerSession: string | null;
}

/** 256 bits: nobody guesses one. */
const SECRET_BYTES = 32;
const SECRET = /^[\w-]{43}$/;
/** What a person does is written down this often at most: a page asks many times in a second. */
const TOUCH_MS = 10_000;

/** The longest that a session can be good for, whatever its person does. */
export const longestSessionMs = ({ max_hours }: Pick<SignInConfig, 'max_hours'>): number => max_hours * 3_600_000;

/** Sessions of people who signed in. A browser holds a secret of 256 bits; only its digest is kept. */
export class Sessions {
  readonly #deps: SessionsDeps;
  readonly #rules: string;
  readonly #idleMs: number;

  constructor(deps: SessionsDeps) {
    this.#deps = deps;
    const { issuer, roles, roles_claim } = deps.operators;
    this.#rules = createHash('sha256').update(canonicalJson({ issuer, roles, roles_claim, client_id: deps.signIn.client_id })).digest('hex').slice(0, 32);
    this.#idleMs = deps.signIn.idle_minutes * 60_000;
  }

  /**
   * Opens a session with a secret of its own, whatever the browser held before: what an attacker put there is worth nothing.
   *
   * @param standing what stands for the person's sessions: an end of them all while this one is opened ends it too.
   */
  async open({ issuer, subject, role, issuerSession }: Person, standing: string): Promise<Secret> {
    const secret = randomBytes(SECRET_BYTES).toString('base64url');
    const nowMs = this.#deps.clock.now();
    const endsAtMs = addMs(nowMs, longestSessionMs(this.#deps.signIn));
    const session: Session = { id: idOf(secret), generation: 1, issuer, subject, role, issuerSession, rules: this.#rules, standing, openedAtMs: nowMs, seenAtMs: nowMs, endsAtMs };
    await this.#deps.records.openSession(session, this.#idleEnd(session));
    return new Secret(secret);
  }

  /**
   * Whose session it is. Throws `session_ended`.
   *
   * @param active whether it is the person who does something, and not the page by itself.
   */
  async operatorOf(secret: string, active: boolean): Promise<Operator> {
    const found = await this.find(secret);
    if (found === null) throw new Problem('session_ended', 'the session has ended; sign in again');
    const session = active ? await this.#touched(found) : found;
    const { id, issuer, subject, role, endsAtMs } = session;
    return { kind: 'operator', issuer, subject, role, tokenExpiresAtMs: endsAtMs, session: { id, endsAtMs, idleEndsAtMs: this.#idleEnd(session) } };
  }

  /** The session that goes by this secret, while it is good. */
  async find(secret: string): Promise<Session | null> {
    if (!SECRET.test(secret)) return null;
    const session = await this.#deps.records.getSession(idOf(secret));
    if (session === null || session.rules !== this.#rules) return null;
    return this.#deps.clock.now() < this.#idleEnd(session) ? session : null;
  }

  async #touched(session: Session): Promise<Session> {
    const nowMs = this.#deps.clock.now();
    if (nowMs - session.seenAtMs < TOUCH_MS) return session;
    const touched = { ...session, seenAtMs: nowMs };
    await this.#deps.records.touchSession(session, nowMs, this.#idleEnd(touched));
    return touched;
  }

  /** When it ends if its person does nothing more. */
  #idleEnd({ seenAtMs, endsAtMs }: Pick<Session, 'seenAtMs' | 'endsAtMs'>): EpochMs {
    const idle = addMs(seenAtMs, this.#idleMs);
    return idle < endsAtMs ? idle : endsAtMs;
  }
}

const idOf = (secret: string): SessionId => sessionIdFrom(createHash('sha256').update(secret).digest('hex'));
