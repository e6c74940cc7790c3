import { readFileSync } from 'node:fs';
import type { Redis } from 'ioredis';

/** Runs a script: the number of keys, then keys and arguments. */
export type RunScript = (keyCount: number, ...args: (string | number)[]) => Promise<unknown>;

/** Defines a Lua file on a connection under a name; it is called by digest and loaded where it is missing. */
export function defineScript(redis: Redis, name: string, file: URL): RunScript {
  redis.defineCommand(name, { lua: readFileSync(file, 'utf8') });
  const commands = redis as unknown as Record<string, RunScript>;
  return (keyCount, ...args) => {
    const command = commands[name];
    if (command === undefined) throw new TypeError(`script ${name} is not defined`);
    return command.call(redis, keyCount, ...args);
  };
}
