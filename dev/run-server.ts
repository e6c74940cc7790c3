import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

export interface ServerCommand {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** Standard output and error go here. */
  readonly logFile: string;
  /** Further `setpriv` options, such as the user to run as. */
  readonly privileges?: readonly string[];
  /** The signal that ends it in an orderly way. */
  readonly stopSignal: 'SIGINT' | 'SIGTERM';
}

export interface RunningServer {
  readonly pid: number;
  /** Resolves when it has gone, asked or not. */
  readonly exited: Promise<unknown>;
  /** Ends it and waits until it has gone; killed outright when it does not listen. Ending it twice is ending it once. */
  stop(): Promise<void>;
}

/** How long a server may take to end in an orderly way; longer, and a Ctrl-C would feel broken. */
const STOP_GRACE_MS = 5_000;

/**
 * Starts a server and waits for `isReady`. It cannot outlive this process, even one killed with -9 (`--pdeathsig`), and
 * a Ctrl-C in the terminal does not reach it (`detached`), so that what needs it can end first.
 * Throws when it ends by itself or is not ready within `readyTimeoutMs`; it is stopped then.
 */
export async function runServer(
  server: ServerCommand,
  isReady: () => Promise<boolean>,
  readyTimeoutMs = 20_000,
): Promise<RunningServer> {
  const log = openSync(server.logFile, 'a', 0o600);
  const death = server.stopSignal === 'SIGINT' ? 'INT' : 'TERM';
  const child = spawn('setpriv', [...(server.privileges ?? []), '--pdeathsig', death, server.command, ...server.args], {
    cwd: server.cwd,
    env: server.env,
    stdio: ['ignore', log, log],
    detached: true,
  });
  closeSync(log);
  const exited = once(child, 'exit');
  await once(child, 'spawn');
  const ended = (): boolean => child.exitCode !== null || child.signalCode !== null;
  const stop = async (): Promise<void> => {
    if (ended()) return;
    child.kill(server.stopSignal);
    const inTime = AbortSignal.timeout(STOP_GRACE_MS);
    inTime.addEventListener('abort', () => child.kill('SIGKILL'));
    await exited;
  };
  const deadline = performance.now() + readyTimeoutMs;
  while (!(await isReady())) {
    if (ended() || performance.now() > deadline) {
      await stop();
      throw new Error(`${server.command} did not start; see ${server.logFile}`);
    }
    await delay(20);
  }
  return { pid: child.pid ?? 0, exited, stop };
}

/** A free port on loopback, followed by `further` more free ones. */
export async function freePort(further = 0): Promise<number> {
  for (;;) {
    const port = await portOrUndefined(0);
    if (port === undefined) continue;
    const next = await Promise.all(Array.from({ length: further }, (_, index) => portOrUndefined(port + 1 + index)));
    if (!next.includes(undefined)) return port;
  }
}

function portOrUndefined(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(undefined));
    probe.listen(port, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === 'object' && address !== null ? address.port : undefined));
    });
  });
}

/** Whether a port of loopback can be listened on. */
export const isFree = async (port: number): Promise<boolean> => (await portOrUndefined(port)) === port;

/** Whether something listens at a URL. While it starts, that is far cheaper to ask than with a request that fails. */
export function isListening(url: string): Promise<boolean> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    const probe = connect(Number(port), hostname);
    const settle = (answer: boolean): void => {
      probe.destroy();
      resolve(answer);
    };
    probe.once('connect', () => settle(true)).once('error', () => settle(false));
  });
}
