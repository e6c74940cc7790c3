import { execFileSync } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort, runServer, type RunningServer } from '../../dev/run-server.ts';

/** Where the two programs of SPIRE are. */
export interface SpirePrograms {
  readonly server: string;
  readonly agent: string;
}

/** A SPIRE server of one trust domain, on loopback, in memory and SQLite. */
export interface SpireServer {
  readonly trustDomain: string;
  readonly port: number;
  readonly endpointUrl: string;
  /** Runs a command of `spire-server` against it and answers what that printed. Throws when it fails. */
  run(args: readonly string[], input?: string): string;
  stop(): Promise<void>;
}

export interface SpireAgent {
  /** Of the Workload API. */
  readonly socket: string;
  readonly pid: number;
  stop(): Promise<void>;
}

/** HCL takes a JSON text where it takes a text. */
const said = (text: string): string => JSON.stringify(text);
const environment = { PATH: process.env['PATH'] ?? '' };

export async function startSpireServer({ server: command }: SpirePrograms, wish: { readonly directory: string; readonly trustDomain: string; readonly endpointProfile: string }): Promise<SpireServer> {
  const { directory, trustDomain, endpointProfile } = wish;
  const home = join(directory, trustDomain);
  await mkdir(home, { mode: 0o700 });
  const [port, endpointPort] = [await freePort(), await freePort()];
  const socket = join(home, 'server.sock');
  const config = `
server {
  bind_address = "127.0.0.1"
  bind_port = "${port}"
  socket_path = ${said(socket)}
  trust_domain = ${said(trustDomain)}
  data_dir = ${said(home)}
  federation {
    bundle_endpoint {
      address = "127.0.0.1"
      port = ${endpointPort}
      refresh_hint = "5s"
      ${endpointProfile}
    }
  }
}
plugins {
  DataStore "sql" { plugin_data { database_type = "sqlite3" connection_string = ${said(join(home, 'datastore.sqlite3'))} } }
  NodeAttestor "join_token" { plugin_data {} }
  KeyManager "memory" { plugin_data {} }
}
`;
  await writeFile(join(home, 'server.conf'), config);
  const run = (args: readonly string[], input = ''): string => execFileSync(command, [...args, '-socketPath', socket], { input, encoding: 'utf8', stdio: ['pipe', 'pipe', 'pipe'] });
  const server = await runServer({ command, args: ['run', '-config', join(home, 'server.conf')], env: environment, cwd: home, logFile: join(home, 'server.log'), stopSignal: 'SIGTERM' }, () => succeeds(() => run(['healthcheck'])));
  return { trustDomain, port, endpointUrl: `https://127.0.0.1:${endpointPort}/`, run, stop: () => server.stop() };
}

/** The id of the node that agents stand for; entries are below it. */
export const NODE = '/node';

/**
 * An agent of a server, which knows a workload by its user and by the program it is. One that is started again on the same
 * directory is the same agent.
 */
export async function startSpireAgent({ agent: command }: SpirePrograms, { server, directory }: { readonly server: SpireServer; readonly directory: string }): Promise<SpireAgent> {
  const home = join(directory, `${server.trustDomain}-agent`);
  await mkdir(home, { recursive: true, mode: 0o700 });
  const path = join(home, 'agent.sock');
  const config = `
agent {
  data_dir = ${said(home)}
  server_address = "127.0.0.1"
  server_port = "${server.port}"
  socket_path = ${said(path)}
  trust_domain = ${said(server.trustDomain)}
  insecure_bootstrap = true
}
plugins {
  NodeAttestor "join_token" { plugin_data {} }
  KeyManager "disk" { plugin_data { directory = ${said(home)} } }
  WorkloadAttestor "unix" { plugin_data { discover_workload_path = true } }
}
`;
  await writeFile(join(home, 'agent.conf'), config);
  const token = /Token: (\S+)/.exec(server.run(['token', 'generate', '-spiffeID', `spiffe://${server.trustDomain}${NODE}`]))?.[1] ?? '';
  const agent: RunningServer = await runServer({ command, args: ['run', '-config', join(home, 'agent.conf'), '-joinToken', token], env: environment, cwd: home, logFile: join(home, 'agent.log'), stopSignal: 'SIGTERM' }, () =>
    succeeds(() => execFileSync(command, ['healthcheck', '-socketPath', path], { stdio: 'ignore' })),
  );
  return { socket: `unix://${path}`, pid: agent.pid, stop: () => agent.stop() };
}

function succeeds(body: () => unknown): Promise<boolean> {
  try {
    body();
    return Promise.resolve(true);
  } catch {
    return Promise.resolve(false);
  }
}
