import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort, runServer } from '../../dev/run-server.ts';

export interface OpaServer {
  readonly url: string;
  readonly pid: number;
  /** What it wrote: with `decision_logs.console=true` each decision, one JSON object a line. */
  log(): Promise<readonly Readonly<Record<string, unknown>>[]>;
  stop(): Promise<void>;
}

export interface OpaWish {
  readonly command: string;
  readonly directory: string;
  /** Rego by file name; none where it is to come from a bundle. */
  readonly policies?: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
  readonly port?: number;
  readonly scheme?: 'http' | 'https';
}

/** An Open Policy Agent of its own on loopback. It is ready when it answers: whether its bundles are loaded is another thing. */
export async function startOpa({ command, directory, policies = {}, args = [], port, scheme = 'http' }: OpaWish): Promise<OpaServer> {
  const address = `127.0.0.1:${port ?? (await freePort())}`;
  const logFile = join(directory, `opa-${address.split(':')[1] ?? ''}.log`);
  const files = await Promise.all(
    Object.entries(policies).map(async ([name, text]) => {
      const file = join(directory, name);
      await writeFile(file, text);
      return file;
    }),
  );
  const begun = (await readFile(logFile, 'utf8').catch(() => '')).length;
  const logged = async (): Promise<string> => (await readFile(logFile, 'utf8')).slice(begun);
  const server = await runServer(
    { command, args: ['run', '--server', '--disable-telemetry', '--addr', address, ...args, ...files], env: { PATH: process.env['PATH'] ?? '', HOME: directory }, cwd: directory, logFile, stopSignal: 'SIGTERM' },
    async () => (await logged()).includes('Initializing server') && (await listens(address)),
  );
  return {
    url: `${scheme}://${address}`,
    pid: server.pid,
    log: async () => (await logged()).split('\n').flatMap((line) => (line.startsWith('{') ? [JSON.parse(line) as Record<string, unknown>] : [])),
    stop: () => server.stop(),
  };
}

/** Any answer is one: it may want TLS or a token. */
const listens = (address: string): Promise<boolean> => fetch(`http://${address}/health`).then(() => true, (error: unknown) => (error as { cause?: { code?: string } }).cause?.code !== 'ECONNREFUSED');
