import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GUARDS, liftGuards, placeGuard } from '../../scripts/debian-packages.js';

describe('guards that keep Debian from starting what it installs', () => {
  let directory: string;
  let guards: { path: string; content: string; mode: number }[];
  let policy: { path: string; content: string; mode: number };
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'mayfly-guards-'));
    guards = GUARDS.map((guard) => ({ ...guard, path: join(directory, guard.path) }));
    const [first] = guards;
    if (first === undefined) throw new Error('there is no guard');
    policy = first;
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  it('leave nothing behind', () => {
    guards.forEach(placeGuard);
    expect(guards.map(({ path }) => existsSync(path))).toEqual([true, true]);
    liftGuards(guards);
    expect(guards.map(({ path }) => existsSync(path))).toEqual([false, false]);
  });

  it('give back what the machine had, mode and all', async () => {
    guards.forEach(placeGuard);
    liftGuards(guards);
    await writeFile(policy.path, '#!/bin/sh\nexit 104\n');
    await chmod(policy.path, 0o750);
    placeGuard(policy);
    expect(await readFile(policy.path, 'utf8')).toContain('exit 101');
    liftGuards(guards);
    expect(await readFile(policy.path, 'utf8')).toBe('#!/bin/sh\nexit 104\n');
    expect((await stat(policy.path)).mode & 0o777).toBe(0o750);
  });

  it('of a start that was killed are lifted by the next one', () => {
    placeGuard(policy);
    placeGuard(policy);
    liftGuards(guards);
    liftGuards(guards);
    expect(existsSync(policy.path)).toBe(false);
  });
});
