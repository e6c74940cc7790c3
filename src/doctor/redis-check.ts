import { Redis } from 'ioredis';
import type { Config } from '../config/config-schema.ts';
import { redisUrlOf } from '../config/redis-url.ts';
import { systemClock } from '../core/clock.ts';
import { failure, ok, skipped, warning, type Check, type Finding } from './check.ts';

/** What a Redis says of itself; null where it does not tell. */
export interface RedisFacts {
  readonly version: string;
  readonly evictionPolicy: string | null;
  readonly appendOnly: boolean | null;
  readonly appendFsync: string | null;
  readonly replicas: number;
  readonly user: string;
  /** Our clock minus its own, ms. */
  readonly skewMs: number;
}

/** Beyond this nothing is granted; a third of it is a warning. */
const MAX_SKEW_MS = 5_000;
const OLDEST_VERSION = 7;

/** How a Redis stands as a ledger. Pure. */
export function judgeRedis(facts: RedisFacts, { redis, environment }: Pick<Config, 'redis' | 'environment'>): Finding[] {
  const unsafe = redis.accept_unsafe_settings || environment === 'development' ? warning : failure;
  const unknown = (check: string): Finding => skipped(check, 'Redis does not tell: CONFIG is blocked', 'let this user run CONFIG GET, or look at it where Redis is managed');
  const findings: Finding[] = [];
  findings.push(Number(facts.version.split('.')[0]) >= OLDEST_VERSION ? ok('redis.version', `Redis ${facts.version}`) : failure('redis.version', `Redis ${facts.version}`, 'use Redis 7 or newer'));
  if (facts.evictionPolicy === null) findings.push(unknown('redis.eviction'));
  else if (facts.evictionPolicy === 'noeviction') findings.push(ok('redis.eviction', 'maxmemory-policy noeviction'));
  else findings.push(unsafe('redis.eviction', `maxmemory-policy ${facts.evictionPolicy}: records of live credentials can be thrown away`, 'CONFIG SET maxmemory-policy noeviction, and in redis.conf'));
  if (facts.appendOnly === null) findings.push(unknown('redis.persistence'));
  else if (!facts.appendOnly) findings.push(unsafe('redis.persistence', 'appendonly no: a restart forgets what is live', 'CONFIG SET appendonly yes, and in redis.conf'));
  else if (facts.appendFsync === 'always') findings.push(ok('redis.persistence', 'appendonly yes, appendfsync always'));
  else findings.push(warning('redis.persistence', `appendonly yes, appendfsync ${facts.appendFsync ?? 'unknown'}: a crash can forget the last second`, 'CONFIG SET appendfsync always; writes in flight share one fsync'));
  if (redis.min_replica_acks > facts.replicas) findings.push(failure('redis.replicas', `${facts.replicas} replicas, but min_replica_acks is ${redis.min_replica_acks}: nothing can be granted`, 'attach replicas, or lower redis.min_replica_acks'));
  else findings.push(ok('redis.replicas', `${facts.replicas} replicas, ${redis.min_replica_acks} must confirm`));
  if (facts.user === 'default' && environment === 'production') findings.push(warning('redis.user', 'connected as the user default', 'give each role an ACL user of its own (docs/operations.md)'));
  else findings.push(ok('redis.user', `connected as ${facts.user}`));
  const skew = `${Math.round(facts.skewMs)} ms from our clock`;
  if (Math.abs(facts.skewMs) > MAX_SKEW_MS) findings.push(failure('redis.clock', `${skew}: nothing is granted`, 'run NTP on both machines'));
  else if (Math.abs(facts.skewMs) > MAX_SKEW_MS / 3) findings.push(warning('redis.clock', skew, 'run NTP on both machines; from 5 s on nothing is granted'));
  else findings.push(ok('redis.clock', skew));
  return findings;
}

export const redisCheck = (config: Config): Check => ({
  area: 'redis',
  async look() {
    const redis = new Redis(redisUrlOf(config), { lazyConnect: true, maxRetriesPerRequest: 0, retryStrategy: () => null, connectTimeout: 3_000 });
    redis.on('error', () => undefined);
    try {
      await redis.connect();
    } catch (error) {
      const { hostname, port } = new URL(redisUrlOf(config));
      return [failure('redis.reachable', `Redis at ${hostname}:${port || '6379'} does not answer: ${error instanceof Error ? error.message : ''}`, 'start it, or mend redis.url or its password')];
    }
    try {
      return [ok('redis.reachable', 'Redis answers'), ...judgeRedis(await factsOf(redis), config)];
    } finally {
      redis.disconnect();
    }
  },
});

/** Reads what can be read. Throws when Redis does not answer. */
export async function factsOf(redis: Redis): Promise<RedisFacts> {
  const setting = async (name: string): Promise<string | null> => redis.config('GET', name).then((answer) => answer[1] ?? null, () => null);
  const field = (text: string, name: string): string | undefined => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(text)?.[1];
  const [server, replication, evictionPolicy, appendOnly, appendFsync, user, time] = await Promise.all([
    redis.info('server'),
    redis.info('replication').catch(() => ''),
    setting('maxmemory-policy'),
    setting('appendonly'),
    setting('appendfsync'),
    redis.acl('WHOAMI').catch(() => 'unknown'),
    redis.time(),
  ]);
  return {
    version: field(server, 'redis_version') ?? '0',
    evictionPolicy,
    appendOnly: appendOnly === null ? null : appendOnly === 'yes',
    appendFsync,
    replicas: Number(field(replication, 'connected_slaves') ?? 0),
    user,
    skewMs: systemClock.now() - (Number(time[0]) * 1000 + Number(time[1]) / 1000),
  };
}
