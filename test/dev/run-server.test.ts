import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isAlive, markOf, type ProcessMark } from '../../dev/process-record.ts';
import { freePort, isFree, runServer } from '../../dev/run-server.ts';
import { until } from '../support/until.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'mayfly-run-server-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

describe('a parent that is killed with -9', () => {
  /** Starts the parent, waits for its server, kills the parent; answers the server's mark. */
  async function killParentOf(kind: 'guarded' | 'unguarded'): Promise<ProcessMark> {
    const parent = spawn(process.execPath, [join(import.meta.dirname, 'parent-of-a-server.ts'), kind, directory], { stdio: ['ignore', 'pipe', 'inherit'] });
    const server = await serverOf(parent);
    parent.kill('SIGKILL');
    await once(parent, 'exit');
    return server;
  }

  async function serverOf(parent: ChildProcess): Promise<ProcessMark> {
    const [line] = (await once(parent.stdout ?? parent, 'data')) as [Buffer];
    const pid = Number(line.toString());
    // Until then it is the wrapper that is to guard it, which may not have come to that yet.
    await until(async () => (await readFile(`/proc/${pid}/comm`, 'utf8')).trim() === 'sleep');
    const mark = markOf('sleep', pid);
    if (mark === undefined) throw new Error('the server did not start');
    return mark;
  }

  it('takes its servers along', async () => {
    const server = await killParentOf('guarded');
    await until(() => Promise.resolve(!isAlive(server)));
    expect(isAlive(server)).toBe(false);
  });

  it('control: a server started without the guard outlives it', async () => {
    const server = await killParentOf('unguarded');
    expect(isAlive(server)).toBe(true);
    process.kill(server.pid, 'SIGKILL');
    await until(() => Promise.resolve(!isAlive(server)));
  });
});

describe('runServer', () => {
  const sleeper = () => ({ command: 'sleep', args: ['600'], env: { PATH: process.env['PATH'] ?? '' }, cwd: directory, logFile: join(directory, 'log'), stopSignal: 'SIGTERM' as const });

  it('ends what does not become ready, and names the log', async () => {
    await expect(runServer(sleeper(), () => Promise.resolve(false), 100)).rejects.toThrow(join(directory, 'log'));
  });

  it('stops a server once, however often it is asked', async () => {
    const server = await runServer(sleeper(), () => Promise.resolve(true));
    const mark = markOf('sleep', server.pid);
    await Promise.all([server.stop(), server.stop()]);
    await server.stop();
    expect(mark !== undefined && isAlive(mark)).toBe(false);
  });
});

describe('ports', () => {
  let taken: Server;
  beforeEach(async () => {
    taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
  });
  afterEach(() => {
    taken.close();
  });

  it('are called free only when they can be listened on', async () => {
    expect(await isFree((taken.address() as AddressInfo).port)).toBe(false);
    expect(await isFree(await freePort())).toBe(true);
  });

  it('come with free neighbours where a server takes more than one', async () => {
    const port = await freePort(2);
    expect(await Promise.all([port, port + 1, port + 2].map(isFree))).toEqual([true, true, true]);
  });
});
