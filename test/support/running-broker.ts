import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { parse, stringify } from 'yaml';
import { startBrokerProcess, type BrokerProcess } from '../../dev/broker-process.ts';
import { AGENT } from '../../dev/dev-identities.ts';
import { devJson } from '../../dev/dev-json.ts';
import { freePort } from '../../dev/run-server.ts';
import { rootClient, type RootClient } from '../../dev/seed-openbao.ts';
import { startStack, type Stack } from '../../dev/stack.ts';
import { undescribed } from './described-answer.ts';
import { until } from './until.ts';

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Record<string, unknown>;
}

export interface GrantedCredential {
  readonly name: string;
  readonly lease_id: string;
  readonly kind: string;
  readonly state: string;
  readonly revocability: string;
  readonly expires_at: string;
  readonly target_expires_at: string;
  readonly secret: Readonly<Record<string, string>>;
}

/** What a stack's configuration file says, as far as tests change it. */
interface BrokerConfig {
  readonly providers: Record<string, object>;
  readonly credentials: Record<string, object>;
  readonly identity: { readonly issuers: readonly { readonly issuer: string }[]; trust_domains?: readonly object[]; users?: object };
  readonly introspection: { readonly resource_servers: object[] };
  readonly http: { public_url?: string; trusted_proxies?: readonly string[] };
  oauth?: object;
  operators: object;
  tls?: object;
  signals?: object;
  agents: { subject: string; review_by: string }[];
}

interface StartOptions {
  readonly aws?: boolean;
  /** Changes the configuration that the stack wrote, before a broker starts on it. */
  readonly configure?: (config: BrokerConfig, broker: RunningBroker) => void | Promise<void>;
}

/** Cedar optimises itself as it warms up, which costs each start half a second of CPU; the brokers of tests decide too little to earn it back. */
const QUICK_START = '--liftoff-only';

/** The whole real stack with a broker in a process of its own, as a user has it. */
export class RunningBroker {
  readonly stack: Stack;
  readonly url: string;
  readonly metricsUrl: string;
  readonly logFile: string;
  readonly #nodeOptions: readonly string[];
  broker: BrokerProcess | undefined;

  private constructor(stack: Stack, url: string, metricsUrl: string, nodeOptions: readonly string[]) {
    this.stack = stack;
    this.url = url;
    this.metricsUrl = metricsUrl;
    this.logFile = join(stack.directory, 'broker.log');
    this.#nodeOptions = nodeOptions;
  }

  static async start(override: Readonly<Record<string, unknown>> = {}, nodeOptions: readonly string[] = [], { aws = false, configure }: StartOptions = {}): Promise<RunningBroker> {
    const directory = await mkdtemp(join(tmpdir(), 'mayfly-stack-'));
    const port = await freePort();
    const metricsPort = await freePort();
    const stack = await startStack({ directory, port, metricsPort, override, aws });
    const running = new RunningBroker(stack, `http://127.0.0.1:${port}`, `http://127.0.0.1:${metricsPort}/metrics`, nodeOptions);
    try {
      if (configure !== undefined) await running.#change((config) => configure(config, running));
      await running.startBroker();
    } catch (error) {
      await stack.stop();
      throw error;
    }
    return running;
  }

  async startBroker(): Promise<void> {
    this.broker = await startBrokerProcess({ configFile: this.stack.configFile, url: this.url, logFile: this.logFile, nodeOptions: [QUICK_START, ...this.#nodeOptions] });
  }

  /** Starts the broker afresh on a changed configuration. What is known before it first starts costs less in `configure`. */
  async reconfigure(change: (config: BrokerConfig) => void): Promise<void> {
    await this.#change(change);
    await this.kill();
    await this.startBroker();
  }

  async #change(change: (config: BrokerConfig) => void | Promise<void>): Promise<void> {
    const config = parse(await readFile(this.stack.configFile, 'utf8')) as BrokerConfig;
    await change(config);
    await writeFile(this.stack.configFile, stringify(config));
  }

  /** SIGKILL: nothing is finished, nothing is said. */
  async kill(): Promise<void> {
    await this.broker?.kill();
  }

  async stop(): Promise<void> {
    await this.broker?.stop();
    await this.stack.stop();
    await rm(this.stack.directory, { recursive: true, force: true });
  }

  /** A bearer token of a workload. */
  agentToken(subject: string = AGENT): Promise<string> {
    return this.stack.workloads.sign({ subject });
  }

  operatorToken(role: 'viewer' | 'operator' | 'admin' = 'operator'): Promise<string> {
    return this.stack.operators.sign({ subject: 'olga', claims: { roles: [`mayfly-${role}`] } });
  }

  /** Calls the broker. Throws when the answer is not one that src/http/openapi describes. */
  async call(method: string, path: string, token: string | null, body?: unknown, headers: Readonly<Record<string, string>> = {}): Promise<HttpAnswer> {
    const response = await fetch(`${this.url}${path}`, {
      method,
      headers: { ...headers, ...(token === null ? {} : { Authorization: `Bearer ${token}` }), ...(body === undefined ? {} : { 'Content-Type': 'application/json' }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    const answer = { status: response.status, headers: response.headers, body: text === '' ? {} : (JSON.parse(text) as Record<string, unknown>) };
    // Each test that calls the broker also checks that the interface is as it is described.
    const fault = undescribed(method, path, answer);
    if (fault !== null) throw new Error(fault);
    return answer;
  }

  /** Declares a task and expects its credentials. */
  async grant(
    credentials: readonly string[],
    options: { readonly ttlSeconds?: number; readonly token?: string; readonly fields?: object } = {},
  ): Promise<{ readonly id: string; readonly token: string; readonly credentials: readonly GrantedCredential[] }> {
    const token = options.token ?? (await this.agentToken());
    const { status, body } = await this.call('POST', '/v1/tasks', token, {
      purpose: 'refund-investigation',
      actions: ['read'],
      ttl_seconds: options.ttlSeconds ?? 300,
      credentials: credentials.map((name) => ({ name })),
      ...options.fields,
    });
    if (status !== 201) throw new Error(`the task was not granted: ${status} ${JSON.stringify(body)}`);
    const { task, credentials: granted } = body as unknown as { task: { id: string }; credentials: GrantedCredential[] };
    return { id: task.id, token, credentials: granted };
  }

  complete(grant: { readonly id: string; readonly token: string }): Promise<HttpAnswer> {
    return this.call('POST', `/v1/tasks/${grant.id}/complete`, grant.token, {});
  }

  /** A client of the seeded database, as the holder of a minted login; not yet connected. */
  psql(credential: GrantedCredential): pg.Client {
    const { postgres } = this.stack;
    if (postgres === null) throw new Error('there is no PostgreSQL');
    const { username: user = '', password = '' } = credential.secret;
    const client = new pg.Client({ host: postgres.host, port: postgres.port, database: postgres.database, user, password, connectionTimeoutMillis: 3_000 });
    client.on('error', () => undefined);
    return client;
  }

  /** Whether a new login with a minted credential succeeds. */
  async canLogIn(credential: GrantedCredential): Promise<boolean> {
    const client = this.psql(credential);
    try {
      await client.connect();
      return true;
    } catch {
      return false;
    } finally {
      await client.end().catch(() => undefined);
    }
  }

  /** Names of minted logins that exist in the database. */
  async mintedLogins(): Promise<string[]> {
    const client = new pg.Client({ connectionString: this.stack.postgres?.adminUrl });
    await client.connect();
    try {
      const { rows } = await client.query<{ rolname: string }>("select rolname from pg_roles where rolname like 'v-token-lse-%'");
      return rows.map((row) => row.rolname);
    } finally {
      await client.end();
    }
  }

  /** How long the database lets a minted login live, by its VALID UNTIL. */
  async loginEndsInSeconds(login: string): Promise<number> {
    const client = new pg.Client({ connectionString: this.stack.postgres?.adminUrl });
    await client.connect();
    try {
      const { rows } = await client.query<{ seconds: number }>('select extract(epoch from rolvaliduntil - now())::float as seconds from pg_roles where rolname = $1', [login]);
      return rows[0]?.seconds ?? 0;
    } finally {
      await client.end();
    }
  }

  /** OpenBao as seen by root, from outside. */
  get bao(): RootClient {
    const { openbao } = this.stack;
    if (openbao === null) throw new Error('there is no OpenBao');
    return rootClient(openbao);
  }

  /** Leases named by the tokens that are live in OpenBao under our deployment. */
  async liveTokens(): Promise<string[]> {
    const { keys = [] } = (await this.bao('LIST', 'auth/token/accessors')) as { keys?: string[] };
    const tokens = await Promise.all(keys.map((accessor) => this.bao('POST', 'auth/token/lookup-accessor', { accessor }).catch((): Record<string, unknown> => ({}))));
    return tokens.flatMap(({ meta }) => {
      const { mayfly_lease: lease, mayfly_deployment: deployment } = (meta ?? {}) as Record<string, string>;
      return lease !== undefined && deployment === this.stack.deploymentId ? [lease] : [];
    });
  }

  /** Writes what `npm start` would write of this stack; answers the file. */
  async writeDevJson(): Promise<string> {
    const file = join(this.stack.directory, 'dev.json');
    await writeFile(file, JSON.stringify(devJson(this.stack, { url: this.url, metricsUrl: this.metricsUrl, pid: 0, logFile: this.logFile })));
    return file;
  }

  log(): Promise<string> {
    return readFile(this.logFile, 'utf8');
  }

  /**
   * Waits where the audit log is so far behind that nothing would soon be granted: a sealer that was killed keeps its lease for a
   * while, and who kills brokers faster than that never lets one seal.
   */
  async letItSeal(): Promise<void> {
    const lag = async (): Promise<number> => Number(/^mayfly_audit_lag_seconds (\S+)$/m.exec(await this.metrics())?.[1] ?? Infinity);
    if ((await lag()) > 15) await until(async () => (await lag()) < 2, { timeoutMs: 30_000, everyMs: 200, what: 'the audit log catches up' });
  }

  async metrics(): Promise<string> {
    return (await fetch(this.metricsUrl)).text();
  }
}
