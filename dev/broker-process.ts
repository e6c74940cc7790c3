import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isListening } from './run-server.ts';

const REPOSITORY = dirname(import.meta.dirname);
const CLI = join(REPOSITORY, 'bin/mayfly.js');
/** A start takes a second or two, and many times that on a machine that does much else. */
const READY_MS = 60_000;

export interface BrokerProcessOptions {
  readonly configFile: string;
  readonly url: string;
  readonly logFile: string;
  readonly role?: 'api' | 'worker' | 'all';
  /** Options of node itself, such as `--cpu-prof`. */
  readonly nodeOptions?: readonly string[];
  /** Variables of its own, such as `MAYFLY_HTTP__PORT`. */
  readonly env?: Readonly<Record<string, string>>;
}

/** A broker in a process of its own, on the real command line. */
export interface BrokerProcess {
  readonly pid: number;
  readonly exited: Promise<unknown>;
  /** SIGTERM, and waits. */
  stop(): Promise<void>;
  /** SIGKILL, and waits. */
  kill(): Promise<void>;
}

/** Starts a broker and waits until it says it is ready. It dies with this process. Throws when it ends or is not ready in time. */
export async function startBrokerProcess(options: BrokerProcessOptions): Promise<BrokerProcess> {
  const log = openSync(options.logFile, 'a', 0o600);
  const flags = ['--disable-warning=ExperimentalWarning', ...(options.nodeOptions ?? [])];
  const serve = ['serve', '--role', options.role ?? 'all', '--config', options.configFile];
  const child = spawn('setpriv', ['--pdeathsig', 'TERM', process.execPath, ...flags, CLI, ...serve], {
    cwd: REPOSITORY,
    // The parent's MAYFLY_* variables are not the broker's configuration, but for the marks of a test run.
    env: {
      ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('MAYFLY_') || /^MAYFLY_(TEST_|LOG_LEVEL)/.test(name))),
      ...options.env,
    },
    stdio: ['ignore', log, log],
    detached: true,
  });
  closeSync(log);
  const exited = once(child, 'exit');
  await once(child, 'spawn');
  const end = async (signal: 'SIGTERM' | 'SIGKILL'): Promise<void> => {
    if (hasEnded(child)) return;
    child.kill(signal);
    await exited;
  };
  const broker = { pid: child.pid ?? 0, exited, stop: () => end('SIGTERM'), kill: () => end('SIGKILL') };
  const deadline = performance.now() + READY_MS;
  while (!(await isReady(options.url))) {
    if (hasEnded(child) || performance.now() > deadline) {
      await broker.kill();
      throw new Error(`the broker did not start; the last lines of ${options.logFile}:\n${readFileSync(options.logFile, 'utf8').slice(-1_000)}`);
    }
    await sleep(30);
  }
  return broker;
}

const hasEnded = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null;

/** Ready, with every provider seen at least once: a grant that comes now will not be refused. */
async function isReady(url: string): Promise<boolean> {
  if (!(await isListening(url))) return false;
  try {
    const response = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(2_000) });
    const { status } = (await response.json()) as { status: string };
    // Held, it grants nothing, and is as it should be.
    return response.ok && ['ok', 'held'].includes(status);
  } catch {
    return false;
  }
}
