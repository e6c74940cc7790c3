import type { Config } from '../config-schema.ts';
import type { RuleFault } from './rule-fault.ts';

export function redisFaults({ redis }: Config, urlFromEnvironment: boolean): RuleFault[] {
  if (redis.url === undefined && redis.url_file === undefined) return [{ key: ['redis'], detail: 'needs url, url_file or MAYFLY_REDIS_URL' }];
  if (redis.url !== undefined && redis.url_file !== undefined) return [{ key: ['redis', 'url_file'], detail: 'and url cannot both be given' }];
  if (redis.url !== undefined && !urlFromEnvironment && new URL(redis.url).password !== '') {
    return [{ key: ['redis', 'url'], detail: 'holds a password; put the URL into a file (url_file) or into MAYFLY_REDIS_URL' }];
  }
  return [];
}

export function limitFaults({ limits, revocation, minting, providers, http, tls }: Config): RuleFault[] {
  const faults: RuleFault[] = [];
  if (limits.default_ttl_seconds > limits.max_ttl_seconds) faults.push({ key: ['limits', 'default_ttl_seconds'], detail: 'must be at most limits.max_ttl_seconds' });
  if (revocation.retry_first_ms > revocation.retry_max_ms) faults.push({ key: ['revocation', 'retry_first_ms'], detail: 'must be at most revocation.retry_max_ms' });
  for (const [name, provider] of Object.entries(providers)) {
    if (provider.type !== 'jwt' && provider.timeout_ms > minting.timeout_ms) {
      faults.push({ key: ['providers', name, 'timeout_ms'], detail: `must be at most minting.timeout_ms, ${minting.timeout_ms}` });
    }
  }
  if (tls !== undefined && tls.port !== 0 && [http.port, http.metrics_port].includes(tls.port)) faults.push({ key: ['tls', 'port'], detail: 'must differ from http.port and http.metrics_port' });
  if (http.port !== 0 && http.port === http.metrics_port) faults.push({ key: ['http', 'metrics_port'], detail: 'must differ from http.port' });
  return faults;
}
