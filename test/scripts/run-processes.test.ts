import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { processesOf } from '../../scripts/run-processes.js';

describe('processes of a test run', () => {
  let directory: string;
  let children: ChildProcess[] = [];
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'mayfly-run-'));
  });
  afterEach(async () => {
    await Promise.all(children.map(async (child) => child.kill('SIGKILL') && once(child, 'exit')));
    children = [];
    await rm(directory, { recursive: true, force: true });
  });

  async function start(cwd: string, env: Record<string, string>): Promise<number> {
    const child = spawn('sleep', ['600'], { cwd, env: { PATH: process.env['PATH'] ?? '', ...env }, stdio: 'ignore' });
    children.push(child);
    await once(child, 'spawn');
    return child.pid ?? 0;
  }

  it('are found by their mark or by where they work, and strangers are not', async () => {
    const marked = await start('/', { MAYFLY_TEST_MARK: 'one' });
    const working = await start(directory, {});
    const stranger = await start('/', { MAYFLY_TEST_MARK: 'two' });
    const found = processesOf('MAYFLY_TEST_MARK=one', directory);
    expect(found.map(({ pid }) => pid).sort()).toEqual([marked, working].sort());
    expect(found.map(({ pid }) => pid)).not.toContain(stranger);
    expect(found.map(({ command }) => command)).toEqual(['sleep 600', 'sleep 600']);
  });
});
