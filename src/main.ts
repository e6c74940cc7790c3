import { readFileSync } from 'node:fs';
import { startBroker, type BrokerRole } from './broker/start-broker.ts';
import { loadConfig } from './config/load-config.ts';
import type { Finding } from './doctor/check.ts';
import { createLogger } from './telemetry/logger.ts';

export interface ServeOptions {
  readonly configPath: string;
  readonly role: BrokerRole;
}

/** A stop that takes longer than this is not orderly any more; what is unfinished is found by the next start. */
const STOP_LIMIT_MS = 9_000;

/** A deployment that a production broker does not run on: what is wrong, and what to do about each. */
export class StartRefused extends Error {
  override readonly name = 'StartRefused';

  constructor(findings: readonly Finding[]) {
    super(['this deployment is not fit for production:', ...findings.map(({ check, found, fix }) => `  ${check}: ${found}${fix === null ? '' : `\n    -> ${fix}`}`), 'see `mayfly doctor`'].join('\n'));
  }
}

/** Runs a broker until SIGTERM or SIGINT. Throws `ConfigError` or `PolicyError` when it cannot start. */
export async function serve({ configPath, role }: ServeOptions): Promise<void> {
  const config = loadConfig({ path: configPath, env: process.env, checkFiles: true });
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string };
  const log = createLogger({ level: process.env['MAYFLY_LOG_LEVEL'] ?? 'info', base: { role } });
  if (config.environment === 'production') {
    const { refusals } = await import('./doctor/doctor.ts');
    const findings = await refusals(config);
    if (findings.length > 0) throw new StartRefused(findings);
    if (config.redis.accept_unsafe_settings) log.warn({}, 'redis.accept_unsafe_settings is set: what Redis evicts or forgets, the reconciler has to find');
  }
  const broker = await startBroker({ config, role, log, version });
  log.info({ url: broker.url, metrics_url: broker.metricsUrl, ...(broker.tlsUrl === null ? {} : { tls_url: broker.tlsUrl }), environment: config.environment, deployment_id: config.deployment_id }, 'mayfly is up');

  const signal = await new Promise<string>((resolve) => {
    for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, resolve);
  });
  log.info({ signal }, 'stopping: no new requests; finishing what is in flight');
  setTimeout(() => process.exit(1), STOP_LIMIT_MS).unref();
  await broker.stop();
  log.info({}, 'stopped');
}
