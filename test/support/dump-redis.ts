import type { Redis } from 'ioredis';

/** Every key and value of a Redis, whatever its type, as text. */
export async function dumpRedis(redis: Redis): Promise<string> {
  const parts: string[] = [];
  for (const key of await redis.keys('*')) {
    const type = await redis.type(key);
    const value: unknown =
      type === 'hash' ? await redis.hgetall(key)
      : type === 'string' ? await redis.get(key)
      : type === 'list' ? await redis.lrange(key, 0, -1)
      : type === 'set' ? await redis.smembers(key)
      : type === 'zset' ? await redis.zrange(key, '0', '-1', 'WITHSCORES')
      : await redis.xrange(key, '-', '+');
    parts.push(key, JSON.stringify(value));
  }
  return parts.join('\n');
}
