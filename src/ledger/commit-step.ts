import type { Redis } from 'ioredis';
import { eventsKey, eventSeqKey } from '../audit/event-stream-keys.ts';
import type { SealedEvent } from '../audit/audit-event.ts';
import type { Shard } from '../core/ids.ts';
import { defineScript } from '../core/redis-script.ts';
import type { EpochMs } from '../core/time.ts';

/** A record and the generation it must be at for the step to happen; 0: it must not exist. */
export interface Expectation {
  readonly key: string;
  readonly generation: number;
}

/** One Redis command of a step. The key comes second, as in almost every Redis command. */
export type Write = readonly [command: string, key: string, ...args: readonly (string | number)[]];

/** All that changes in one atomic step, in one shard. */
export interface Step {
  readonly shard: Shard;
  readonly nowMs: EpochMs;
  readonly expect: readonly Expectation[];
  readonly writes: readonly Write[];
  readonly events: readonly SealedEvent[];
  /** Counts for people: where one fails, the step is done all the same. */
  readonly tally?: readonly Write[];
  /** Sets whose size is wanted after the step. */
  readonly count?: readonly string[];
  /** Guards for steps that grant: clock and audit. Revocation needs neither. */
  readonly guarded?: boolean;
}

export type StepResult =
  | { readonly outcome: 'ok'; readonly counts: readonly number[] }
  /** `key`: the first record that was not as expected. */
  | { readonly outcome: 'conflict'; readonly key: string }
  | { readonly outcome: 'clock_skewed'; readonly ms: number }
  | { readonly outcome: 'audit_behind'; readonly ms: number };

export interface StepGuards {
  /** How far our clock may be from Redis TIME before nothing is granted; 0 only in tests that move the clock. */
  readonly maxSkewMs: number;
  /** How old the oldest unsealed event may be before nothing is granted. */
  readonly maxAuditLagMs: number;
}

/** The one way the ledger changes: runs a step as one script. What a step changes is decided by pure functions. */
export function createCommitter(redis: Redis, guards: StepGuards): (step: Step) => Promise<StepResult> {
  const run = defineScript(redis, 'mayflyCommit', new URL('./scripts/commit.lua', import.meta.url));

  return async (step) => {
    const keys = [eventsKey(step.shard), eventSeqKey(step.shard)];
    const positions = new Map<string, number>();
    const position = (key: string): number => {
      const known = positions.get(key);
      if (known !== undefined) return known;
      keys.push(key);
      positions.set(key, keys.length);
      return keys.length;
    };
    const written = ([command, key, ...args]: Write): (string | number)[] => [command, position(key), ...args.map(String)];
    const argument = JSON.stringify({
      now_ms: step.nowMs,
      max_skew_ms: step.guarded === true ? guards.maxSkewMs : 0,
      max_audit_lag_ms: step.guarded === true ? guards.maxAuditLagMs : 0,
      expect: step.expect.map(({ key, generation }) => [position(key), generation]),
      write: step.writes.map(written),
      tally: (step.tally ?? []).map(written),
      events: step.events.map(({ json, mac }) => [json, mac]),
      count: (step.count ?? []).map(position),
    });
    const [outcome, ...rest] = (await run(keys.length, ...keys, argument)) as unknown[];
    switch (outcome) {
      case 'ok':
        return { outcome, counts: rest.map(Number) };
      case 'conflict':
        return { outcome, key: keys[Number(rest[0]) - 1] ?? '' };
      case 'clock_skewed':
      case 'audit_behind':
        return { outcome, ms: Number(rest[0]) };
      default:
        throw new TypeError(`commit.lua answered ${String(outcome)}`);
    }
  };
}
