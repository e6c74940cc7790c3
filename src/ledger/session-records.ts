import { randomBytes } from 'node:crypto';
import { shardOf, shardOfName, SHARDS, type Shard } from '../core/ids.ts';
import type { EpochMs } from '../core/time.ts';
import type { WorkloadId } from '../identity/caller.ts';
import type { Session, SessionRecords, SessionsEnd } from '../identity/session.ts';
import type { Write } from './commit-step.ts';
import { absent, type LedgerSteps } from './ledger-steps.ts';
import { unavailableOnFailure } from './lost-redis.ts';
import { createRecordReader } from './read-record.ts';
import { issuerSessionKey, sessionKey, standingKey, workloadDigest } from './redis-keys.ts';

/** No session is good for longer (`max_hours` is 24 at most), and clocks may differ: what ended them is remembered past the last of them. */
const LONGEST_MS = 25 * 3_600_000;
/** Another replica's clock may still find a session good. */
const MARGIN_MS = 60_000;
const SIGN_IN: WorkloadId = { issuer: 'mayfly', subject: 'sign-in' };

/** Sessions of people, each a sealed record, and what ends many of them: marks, so that none that is opened meanwhile is missed. */
export function createSessionRecords({ redis, clock, seal, commit, event, awaitReplicas }: LedgerSteps): SessionRecords {
  const read = createRecordReader(redis, seal);
  const standingOf = async (person: WorkloadId): Promise<string> => (await unavailableOnFailure(() => redis.get(standingKey(person)))) ?? '';
  const recordOf = (session: Session, forgetAtMs: EpochMs): Write[] => {
    const { json, mac } = seal.seal('session', session.id, session);
    const key = sessionKey(session.id);
    // A length, not an instant: how far Redis' clock is from ours must not shorten it.
    return [['HSET', key, 'generation', session.generation, 'record', json, 'mac', mac], ['PEXPIRE', key, Math.max(1, forgetAtMs - clock.now()) + MARGIN_MS]];
  };

  return {
    standingOf,

    async openSession(session, forgetAtMs) {
      const { id, issuer, subject, role, endsAtMs } = session;
      const nowMs = clock.now();
      const opened = event(nowMs, { type: 'session.opened', by: { issuer, subject }, facts: { session: id, role, expires_at: new Date(endsAtMs).toISOString() } });
      await commit({ shard: shardOf(id), nowMs, expect: [absent(sessionKey(id))], writes: recordOf(session, forgetAtMs), events: [opened] });
      await awaitReplicas();
    },

    async getSession(id) {
      const session = (await unavailableOnFailure(() => read('session', id, sessionKey(id)))) as Session | null;
      if (session === null) return null;
      const { issuer, issuerSession: sid } = session;
      const [standing, ended] = await Promise.all([standingOf(session), sid === null ? 0 : unavailableOnFailure(() => redis.exists(issuerSessionKey(issuer, sid)))]);
      return standing === session.standing && ended === 0 ? session : null;
    },

    async touchSession(session, seenAtMs, forgetAtMs) {
      const touched = { ...session, generation: session.generation + 1, seenAtMs };
      const { outcome } = await commit({ shard: shardOf(session.id), nowMs: clock.now(), expect: [{ key: sessionKey(session.id), generation: session.generation }], writes: recordOf(touched, forgetAtMs), events: [] });
      return outcome === 'ok';
    },

    async endSession({ id, issuer, subject }, why) {
      const nowMs = clock.now();
      const ended = event(nowMs, { type: 'session.ended', by: { issuer, subject }, facts: { session: id, reason: why } });
      await commit({ shard: shardOf(id), nowMs, expect: [], writes: [['DEL', sessionKey(id)]], events: [ended] });
      await awaitReplicas();
    },

    async endSessions(end) {
      const nowMs = clock.now();
      const { shard, write } = markOf(end);
      await commit({ shard, nowMs, expect: [], writes: [write], events: [event(nowMs, { type: 'sessions.ended', ...factsOf(end) })] });
      await awaitReplicas();
    },

    async refuseSession(person, why) {
      const nowMs = clock.now();
      const shard = person === null ? (SHARDS[0] as Shard) : shardOfName(workloadDigest(person));
      await commit({ shard, nowMs, expect: [], writes: [], events: [event(nowMs, { type: 'session.refused', by: person ?? SIGN_IN, facts: { failure: why } })] });
    },
  };
}

/** A mark at the issuer's session where one is named, else another standing of the person: random, so that no earlier one ever comes back. */
function markOf(end: SessionsEnd): { readonly shard: Shard; readonly write: Write } {
  if (end.why === 'ended_by_issuer' && end.sid !== null) {
    return { shard: shardOfName(end.sid), write: ['SET', issuerSessionKey(end.issuer, end.sid), 1, 'PX', LONGEST_MS] };
  }
  if (end.person === null) throw new TypeError('neither a person nor a session is named');
  return { shard: shardOfName(workloadDigest(end.person)), write: ['SET', standingKey(end.person), randomBytes(16).toString('hex'), 'PX', LONGEST_MS] };
}

function factsOf(end: SessionsEnd): { readonly by: WorkloadId; readonly facts: Readonly<Record<string, unknown>> } {
  const person = end.person === null ? null : { issuer: end.person.issuer, subject: end.person.subject };
  if (end.why === 'ended_by_issuer') return { by: { issuer: end.issuer, subject: 'back-channel logout' }, facts: { person, reason: end.why, one_session: end.sid !== null } };
  return { by: { issuer: end.by.issuer, subject: end.by.subject }, facts: { person, reason: end.why, why: end.reason } };
}
