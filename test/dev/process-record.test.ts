import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { endProcesses, isAlive, markOf, readProcesses, writeProcesses, type ProcessMark } from '../../dev/process-record.ts';

describe('what a killed stack left behind', () => {
  let directory: string;
  let file: string;
  let child: ChildProcess;
  let mark: ProcessMark;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'mayfly-processes-'));
    file = join(directory, 'processes.json');
    child = spawn('sleep', ['600'], { stdio: 'ignore' });
    await once(child, 'spawn');
    const found = markOf('sleep', child.pid ?? 0);
    if (found === undefined) throw new Error('the process did not start');
    mark = found;
  });
  afterEach(async () => {
    if (child.exitCode === null && child.signalCode === null && child.kill('SIGKILL')) await once(child, 'exit');
    await rm(directory, { recursive: true, force: true });
  });

  it('is ended by the next start, and forgotten', async () => {
    await writeProcesses(file, [mark]);
    await endProcesses(file, 0);
    expect(isAlive(mark)).toBe(false);
    expect(existsSync(file)).toBe(false);
  });

  it('is never confused with a stranger that was given the same pid', async () => {
    await writeProcesses(file, [{ ...mark, startTime: '1' }]);
    await endProcesses(file, 0);
    expect(isAlive(mark)).toBe(true);
  });

  it('may end by itself first', async () => {
    await writeProcesses(file, [mark]);
    const exit = once(child, 'exit');
    const ended = endProcesses(file, 10_000);
    child.kill('SIGTERM');
    await ended;
    expect(await exit).toEqual([null, 'SIGTERM']);
  });

  it('is nothing where the record is missing or cut off', async () => {
    expect(readProcesses(file)).toEqual([]);
    await writeFile(file, '[{"name":"red');
    expect(readProcesses(file)).toEqual([]);
  });
});
