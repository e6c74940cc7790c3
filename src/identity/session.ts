import type { SessionId } from '../core/ids.ts';
import type { EpochMs } from '../core/time.ts';
import type { OperatorRole, WorkloadId } from './caller.ts';

/** What the record of a session says: who signed in, as what, and until when. Never what the browser holds. */
export interface Session extends WorkloadId {
  readonly id: SessionId;
  readonly generation: number;
  readonly role: OperatorRole;
  /** The issuer's own name of its session with the person (`sid`), by which it can end ours; null where it gave none. */
  readonly issuerSession: string | null;
  /** A digest of the rules by which the issuer's claims gave the role: under others it is good for nothing. */
  readonly rules: string;
  /** What stood for the person's sessions when this one began. */
  readonly standing: string;
  readonly openedAtMs: EpochMs;
  /** When the person last did something. */
  readonly seenAtMs: EpochMs;
  readonly endsAtMs: EpochMs;
}

/** Why a session is over. */
export type SessionEnd = 'signed_out' | 'replaced';

/** Whose sessions end all at once, and why. */
export type SessionsEnd =
  | { readonly why: 'signed_out_everywhere' | 'signed_out_by_admin' | 'ended_by_signal'; readonly person: WorkloadId; readonly by: WorkloadId; readonly reason: string | null }
  /** `sid`: only what began in this session of the issuer. */
  | { readonly why: 'ended_by_issuer'; readonly issuer: string; readonly person: WorkloadId | null; readonly sid: string | null };

/** Where sessions are kept. Each throws `ledger_unavailable` where that is away. */
export interface SessionRecords {
  /** What stands for a person's sessions now; another as soon as they were all ended. */
  standingOf(person: WorkloadId): Promise<string>;
  /** Writes a new session, forgotten at `forgetAtMs` unless touched. */
  openSession(session: Session, forgetAtMs: EpochMs): Promise<void>;
  /** Null where there is none, or it was ended. Throws `TamperedRecord` for one that the broker did not write. */
  getSession(id: SessionId): Promise<Session | null>;
  /** Writes that its person did something; false where it was ended or touched meanwhile, and is as it then was. */
  touchSession(session: Session, seenAtMs: EpochMs, forgetAtMs: EpochMs): Promise<boolean>;
  /** Ends one; ending it twice is ending it once. */
  endSession(session: Session, why: SessionEnd): Promise<void>;
  /** Ends all that are open now, wherever they are used; they are refused from then on. */
  endSessions(end: SessionsEnd): Promise<void>;
  /** Puts on the record that somebody was not let in. `person` is null where nobody knows who it was. */
  refuseSession(person: WorkloadId | null, why: string): Promise<void>;
}
