import type { Clock } from '../core/clock.ts';
import { SHARDS, type Shard } from '../core/ids.ts';
import type { SecurityEvent } from '../identity/security-event.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { countLive, requestRevocation, type RequestRevocationDeps } from './request-revocation.ts';
import { selectorsOf } from './signal-subject.ts';

export interface ReceiveSignalDeps {
  readonly ledger: Pick<Ledger, 'endSessions' | 'recordEvent' | 'useOnce' | 'wasUsed'>;
  readonly revocation: RequestRevocationDeps;
  /** Of the persons on whose behalf agents act; undefined where there are none. */
  readonly usersIssuer: string | undefined;
  /** Of the people who sign in here. */
  readonly operatorsIssuer: string;
  readonly clock: Clock;
}

const CREDENTIAL_CHANGE = 'credential-change';
/** What ends all that somebody has: CAEP 1.0 sections 3.1 and 3.3, RISC 1.0 section 2.4. */
const ENDING = new Map([
  ['https://schemas.openid.net/secevent/caep/event-type/session-revoked', 'session-revoked'],
  ['https://schemas.openid.net/secevent/risc/event-type/account-disabled', 'account-disabled'],
  ['https://schemas.openid.net/secevent/caep/event-type/credential-change', CREDENTIAL_CHANGE],
]);
/** Whoever logged in with what is gone may be somebody else. A new or a changed credential says nothing against its subject. */
const GONE: ReadonlySet<unknown> = new Set(['revoke', 'delete']);

const endingOf = ({ type, said }: SecurityEvent): string | undefined => {
  const signal = ENDING.get(type);
  return signal === CREDENTIAL_CHANGE && !GONE.has(said['change_type']) ? undefined : signal;
};

/**
 * Heeds a verified signal: all tasks of its subject end, as an agent and as a person on whose behalf agents act, and
 * whoever signed in here as an operator is signed out. When this is over, what is to be ended is written down. A signal that comes again changes nothing; one that could not be heeded to the end, because Redis
 * or this process went away, is heeded when it comes again. Throws `ledger_unavailable`.
 */
export async function receiveSignal(event: SecurityEvent, { ledger, revocation, usersIssuer, operatorsIssuer, clock }: ReceiveSignalDeps): Promise<void> {
  const { transmitter, jti, subject, overAtMs } = event;
  const mark = JSON.stringify(['security-event', transmitter.issuer, jti]);
  if (await ledger.wasUsed(mark)) return;
  const by = { issuer: transmitter.issuer, subject: 'security-events' };
  const signal = endingOf(event);
  const selectors = signal === undefined ? [] : selectorsOf(subject, { transmitter, usersIssuer });
  const facts = { jti, event: signal ?? 'other', received_at: clock.now() };
  if (signal === undefined || selectors.length === 0) {
    const why = signal === undefined ? 'this kind of event ends nothing' : 'the transmitter has no say over its subject, or that is of no kind that is known';
    await ledger.recordEvent({ ...ON_RECORD, type: 'signal.ignored', by, facts: { ...facts, why } });
  } else {
    // The record first: what is ended by it names its author by it.
    await ledger.recordEvent({ ...ON_RECORD, type: 'signal.received', by, facts: { ...facts, selectors } });
    for (const selector of selectors) {
      const { agent: name, agent_issuer: issuer } = selector;
      if (name !== undefined && issuer === operatorsIssuer) await ledger.endSessions({ why: 'ended_by_signal', person: { issuer, subject: name }, by, reason: signal });
      const { leases, tasks } = await countLive(selector, 0, revocation.ledger);
      if (leases + tasks > 0) await requestRevocation({ selector, reason: `signal: ${signal}` }, by, revocation);
    }
  }
  // Last: it is used up by its effect.
  await ledger.useOnce(mark, overAtMs);
}

/** What concerns no single task is on the record of the first shard. */
const ON_RECORD = { shard: SHARDS[0] as Shard };
