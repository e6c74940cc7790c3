import type { AuditEventType } from '../audit/audit-event.ts';
import { isAgentId, SHARDS, shardOf, type AgentId, type Shard } from '../core/ids.ts';
import { Problem } from '../core/problem.ts';
import type { EpochMs } from '../core/time.ts';
import type { WorkloadId } from '../identity/caller.ts';
import { agentIdOf, agentIndexId, type AgentEntry, type AgentIndex, type AgentRecord } from './agent-record.ts';
import type { LedgerSteps } from './ledger-steps.ts';
import { unavailableOnFailure } from './lost-redis.ts';
import { createRecordReader } from './read-record.ts';
import { TamperedRecord, type RecordKind } from './record-seal.ts';
import { agentIndexKey, agentKey, agentLiveKey, liveTasksOfSubjectKey } from './redis-keys.ts';

/** A change of an agent, told from the record as it is; what it does not name stays. */
export interface AgentChange {
  readonly agent: WorkloadId;
  readonly by: WorkloadId;
  readonly type: Extract<AuditEventType, 'agent.registered' | 'agent.changed' | 'agent.disabled' | 'agent.enabled'>;
  readonly facts: Readonly<Record<string, unknown>>;
  /** Pure; may be asked again where somebody else was quicker. Null: nothing is to be changed. */
  readonly to: (before: AgentRecord | null, nowMs: EpochMs) => Pick<AgentRecord, 'registration' | 'registeredBy' | 'disabled'> | null;
  /** Records that there may be; none is added beyond. */
  readonly most: number;
}

export type AgentRecords = ReturnType<typeof createAgentRecords>;

/**
 * The register's records, each in the shard of its agent, beside a sealed index of them all: a record that was deleted or
 * put back to an earlier one is missed there. An index that goes back is noticed by every process that saw the later one,
 * unless the ledger lost records and began a new epoch: that opens a hold, and whoever ends it has seen to it.
 */
export function createAgentRecords(steps: LedgerSteps) {
  const { redis, clock, seal, event, commit, awaitReplicas, untilSettled } = steps;
  const read = createRecordReader(redis, seal);
  const readSafely = (kind: RecordKind, id: string, key: string): Promise<unknown> => unavailableOnFailure(() => read(kind, id, key));
  const known = new Map<Shard, { readonly mac: string | null; readonly index: AgentIndex; readonly epoch: number }>();

  /** Throws `TamperedRecord` where it fails its seal, or is older than this process has seen it. */
  async function indexOf(shard: Shard): Promise<AgentIndex> {
    const key = agentIndexKey(shard);
    const [generation, mac = null] = await unavailableOnFailure(() => redis.hmget(key, 'generation', 'mac'));
    const seen = known.get(shard);
    if (seen !== undefined && seen.mac === mac && Number(generation ?? 0) === seen.index.generation) return seen.index;
    const index = ((await readSafely('agents', agentIndexId(shard), key)) as AgentIndex | null) ?? { generation: 0, agents: {} };
    const latest = known.get(shard);
    const epoch = steps.epochs.number();
    if (latest !== undefined && index.generation < latest.index.generation && epoch === latest.epoch) throw new TamperedRecord('agents', agentIndexId(shard));
    known.set(shard, { mac: seal.seal('agents', agentIndexId(shard), index).mac, index, epoch });
    return index;
  }

  async function getAgent(id: AgentId): Promise<AgentRecord | null> {
    const [index, record] = await Promise.all([indexOf(shardOf(id)), readSafely('agent', id, agentKey(id)) as Promise<AgentRecord | null>]);
    if (record?.generation === index.agents[id]?.generation) return record;
    // Read between two steps of somebody else's, or meddled with: only the first looks right the second time.
    const [later, again] = await Promise.all([indexOf(shardOf(id)), readSafely('agent', id, agentKey(id)) as Promise<AgentRecord | null>]);
    if (again?.generation !== later.agents[id]?.generation) throw new TamperedRecord('agent', id);
    return again;
  }

  /** Every agent that has a record, by id; a shard that cannot be read is told, and left out. */
  async function agentEntries(): Promise<ReadonlyMap<AgentId, AgentEntry>> {
    const indexes = await Promise.all(
      SHARDS.map((shard) =>
        indexOf(shard).catch((error: unknown) => {
          if (!(error instanceof TamperedRecord)) throw error;
          steps.onTampered(error, shard);
          return null;
        }),
      ),
    );
    const entries = indexes.flatMap((index) => (index === null ? [] : Object.entries(index.agents)));
    return new Map(entries.flatMap(([id, entry]) => (isAgentId(id) ? [[id, entry] as const] : [])));
  }

  return {
    getAgent,
    agentEntries,

    /** Changes an agent's record, or makes one. Answers it as it then is. Throws `limit_exceeded`. */
    async changeAgent({ agent, by, type, facts, to, most }: AgentChange): Promise<AgentRecord | null> {
      const id = agentIdOf(agent);
      const shard = shardOf(id);
      const changed = await untilSettled<AgentRecord | null>(async () => {
        const nowMs = clock.now();
        const [before, index] = await Promise.all([getAgent(id), indexOf(shard)]);
        const changes = to(before, nowMs);
        if (changes === null) return before;
        if (before === null && (await agentEntries()).size >= most) throw new Problem('limit_exceeded', `there are ${most} registered agents, which is the limit`, { retryAfterSeconds: 3_600 });
        const record: AgentRecord = { id, agent, createdAtMs: before?.createdAtMs ?? nowMs, ...changes, generation: (before?.generation ?? 0) + 1, changedAtMs: nowMs };
        const entry: AgentEntry = { generation: record.generation, reviewBy: record.registration?.reviewBy ?? null, disabled: record.disabled !== null };
        const next: AgentIndex = { generation: index.generation + 1, agents: { ...index.agents, [id]: entry } };
        const sealed = seal.seal('agent', id, record);
        const sealedIndex = seal.seal('agents', agentIndexId(shard), next);
        const result = await commit({
          shard,
          nowMs,
          expect: [
            { key: agentKey(id), generation: before?.generation ?? 0 },
            { key: agentIndexKey(shard), generation: index.generation },
          ],
          writes: [
            ['HSET', agentKey(id), 'generation', record.generation, 'record', sealed.json, 'mac', sealed.mac],
            ['HSET', agentIndexKey(shard), 'generation', next.generation, 'record', sealedIndex.json, 'mac', sealedIndex.mac],
          ],
          events: [event(nowMs, { type, agent, by, facts: { agent_id: id, ...facts } })],
        });
        return result.outcome === 'ok' ? record : 'conflict';
      });
      await awaitReplicas();
      return changed;
    },

    /** Live leases of an agent, and tasks of its subject that have not ended, whichever issuer vouched for it. */
    async liveOfAgent(agent: WorkloadId): Promise<{ readonly leases: number; readonly tasks: number }> {
      const [leases, ...tasks] = await unavailableOnFailure(() =>
        Promise.all([redis.zcount(agentLiveKey(agent), `(${clock.now()}`, '+inf'), ...SHARDS.map((shard) => redis.scard(liveTasksOfSubjectKey(shard, agent.subject)))]),
      );
      return { leases, tasks: tasks.reduce((sum, one) => sum + one, 0) };
    },
  };
}
