import { lstatSync, readFileSync, statSync } from 'node:fs';
import type { Config } from './config-schema.ts';
import type { ConfigPath } from './load-config.ts';

export interface RuleFault {
  readonly key: ConfigPath;
  readonly detail: string;
}

/** What the schema cannot say: rules between keys, and what each environment refuses. Pure. */
export function configFaults(config: Config, options: { readonly urlFromEnvironment: boolean }): RuleFault[] {
  return [
    ...identityFaults(config),
    ...credentialFaults(config),
    ...redisFaults(config, options.urlFromEnvironment),
    ...limitFaults(config),
    ...(config.environment === 'production' ? productionFaults(config) : developmentFaults(config)),
  ];
}

function identityFaults({ identity, operators, providers }: Config): RuleFault[] {
  const faults: RuleFault[] = [];
  if (identity.issuers.length + identity.trust_domains.length === 0) {
    faults.push({ key: ['identity'], detail: 'needs at least one of issuers and trust_domains: nobody could call' });
  }
  const own = new Set(Object.values(providers).flatMap((provider) => (provider.type === 'jwt' ? [provider.issuer] : [])));
  const seen = new Set<string>();
  for (const [index, { issuer, audience }] of identity.issuers.entries()) {
    const key = ['identity', 'issuers', index];
    if (issuer === operators.issuer) faults.push({ key: [...key, 'issuer'], detail: 'is also the issuer of operators; workloads and operators never share one' });
    if (own.has(issuer)) faults.push({ key: [...key, 'issuer'], detail: "is Mayfly's own issuer; what it mints must not call it" });
    if (seen.has(issuer)) faults.push({ key: [...key, 'issuer'], detail: 'is listed twice' });
    if (audience === operators.audience) faults.push({ key: [...key, 'audience'], detail: 'is also the audience of operators' });
    seen.add(issuer);
  }
  if (own.has(operators.issuer)) faults.push({ key: ['operators', 'issuer'], detail: "is Mayfly's own issuer" });
  if (identity.audience === operators.audience) faults.push({ key: ['operators', 'audience'], detail: 'is also the audience of workloads; an operator token must never pass as a workload' });
  for (const [index, { name }] of identity.trust_domains.entries()) {
    if (identity.trust_domains.findIndex((other) => other.name === name) < index) faults.push({ key: ['identity', 'trust_domains', index, 'name'], detail: 'is listed twice' });
  }
  return faults;
}

function credentialFaults({ credentials, providers, identity, operators, limits }: Config): RuleFault[] {
  return Object.entries(credentials).flatMap(([name, credential]) => {
    const key = ['credentials', name];
    const faults: RuleFault[] = [];
    const provider = providers[credential.provider];
    const wanted = credential.kind === 'jwt' ? 'jwt' : 'vault';
    if (provider === undefined) faults.push({ key: [...key, 'provider'], detail: `must be one of ${Object.keys(providers).join(', ')}` });
    else if (provider.type !== wanted) faults.push({ key: [...key, 'provider'], detail: `must be a provider of type ${wanted} for the kind ${credential.kind}` });
    if ((credential.max_ttl_seconds ?? 0) > limits.max_ttl_seconds) {
      faults.push({ key: [...key, 'max_ttl_seconds'], detail: `must be at most limits.max_ttl_seconds, ${limits.max_ttl_seconds}` });
    }
    if (credential.kind === 'jwt' && [identity.audience, operators.audience, ...identity.issuers.map((issuer) => issuer.audience)].includes(credential.audience)) {
      faults.push({ key: [...key, 'audience'], detail: "is Mayfly's own audience; a minted token must not be able to declare tasks" });
    }
    const used = credential.kind === 'vault.dynamic' ? [...credential.path.matchAll(/\{([^}]*)\}/g)].map((match) => match[1] ?? '') : [];
    for (const param of used.filter((param) => !Object.hasOwn(credential.params, param))) {
      faults.push({ key: [...key, 'path'], detail: `uses {${param}}, which params does not define` });
    }
    for (const param of Object.keys(credential.params).filter((param) => credential.kind === 'vault.dynamic' && !used.includes(param))) {
      faults.push({ key: [...key, 'params', param], detail: 'is not used in path' });
    }
    return faults;
  });
}

function redisFaults({ redis }: Config, urlFromEnvironment: boolean): RuleFault[] {
  if (redis.url === undefined && redis.url_file === undefined) return [{ key: ['redis'], detail: 'needs url, url_file or MAYFLY_REDIS_URL' }];
  if (redis.url !== undefined && redis.url_file !== undefined) return [{ key: ['redis', 'url_file'], detail: 'and url cannot both be given' }];
  if (redis.url !== undefined && !urlFromEnvironment && new URL(redis.url).password !== '') {
    return [{ key: ['redis', 'url'], detail: 'holds a password; put the URL into a file (url_file) or into MAYFLY_REDIS_URL' }];
  }
  return [];
}

function limitFaults({ limits, revocation }: Config): RuleFault[] {
  const faults: RuleFault[] = [];
  if (limits.default_ttl_seconds > limits.max_ttl_seconds) faults.push({ key: ['limits', 'default_ttl_seconds'], detail: 'must be at most limits.max_ttl_seconds' });
  if (revocation.retry_first_ms > revocation.retry_max_ms) faults.push({ key: ['revocation', 'retry_first_ms'], detail: 'must be at most revocation.retry_max_ms' });
  return faults;
}

function productionFaults(config: Config): RuleFault[] {
  const insecure = (url: string): boolean => url.startsWith('http:');
  const faults: RuleFault[] = [];
  for (const [index, { issuer }] of config.identity.issuers.entries()) {
    if (insecure(issuer)) faults.push({ key: ['identity', 'issuers', index, 'issuer'], detail: 'must be https in production' });
  }
  if (insecure(config.operators.issuer)) faults.push({ key: ['operators', 'issuer'], detail: 'must be https in production' });
  for (const [name, provider] of Object.entries(config.providers)) {
    if (provider.type === 'vault' && insecure(provider.address)) faults.push({ key: ['providers', name, 'address'], detail: 'must be https in production' });
    if (provider.type === 'jwt' && insecure(provider.issuer)) faults.push({ key: ['providers', name, 'issuer'], detail: 'must be https in production' });
  }
  return faults;
}

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[?::1\]?)$/;

function developmentFaults(config: Config): RuleFault[] {
  const faults: RuleFault[] = [];
  if (!LOOPBACK.test(config.http.host)) faults.push({ key: ['http', 'host'], detail: 'must be a loopback address in development' });
  for (const [name, provider] of Object.entries(config.providers)) {
    if (provider.type === 'vault' && !LOOPBACK.test(new URL(provider.address).hostname)) {
      faults.push({ key: ['providers', name, 'address'], detail: 'must be on a loopback address in development' });
    }
  }
  if (config.redis.url !== undefined && !LOOPBACK.test(new URL(config.redis.url).hostname)) {
    faults.push({ key: ['redis', 'url'], detail: 'must be on a loopback address in development' });
  }
  return faults;
}

/** Faults of the files a configuration names: missing, unreadable, or, in production, a secret that others can read. */
export function fileFaults(config: Config): RuleFault[] {
  const secrets: [ConfigPath, string][] = [[['keys', 'ledger_seal_file'], config.keys.ledger_seal_file]];
  const plain: [ConfigPath, string][] = [[['policy', 'directory'], config.policy.directory]];
  if (config.redis.url_file !== undefined) secrets.push([['redis', 'url_file'], config.redis.url_file]);
  for (const [index, domain] of config.identity.trust_domains.entries()) plain.push([['identity', 'trust_domains', index, 'bundle_file'], domain.bundle_file]);
  for (const [name, provider] of Object.entries(config.providers)) {
    const key = ['providers', name];
    if (provider.type === 'jwt') {
      secrets.push(...provider.signing_key_files.map((file, index): [ConfigPath, string] => [[...key, 'signing_key_files', index], file]));
      continue;
    }
    if (provider.ca_file !== undefined) plain.push([[...key, 'ca_file'], provider.ca_file]);
    for (const [right, login] of Object.entries(provider.login)) {
      const files = login.method === 'approle' ? { role_id_file: login.role_id_file, secret_id_file: login.secret_id_file } : { file: login.file };
      secrets.push(...Object.entries(files).map(([field, file]): [ConfigPath, string] => [[...key, 'login', right, field], file]));
    }
  }
  const faults = [...secrets, ...plain].flatMap(([key, path]) => missing(key, path));
  if (config.environment === 'production') faults.push(...secrets.flatMap(([key, path]) => tooOpen(key, path)));
  const seal = config.keys.ledger_seal_file;
  if (faults.length === 0 && readFileSync(seal).length < 32) faults.push({ key: ['keys', 'ledger_seal_file'], detail: 'must hold at least 32 bytes' });
  return faults;
}

function missing(key: ConfigPath, path: string): RuleFault[] {
  try {
    lstatSync(path);
    return [];
  } catch {
    return [{ key, detail: `names ${path}, which is not there or cannot be read` }];
  }
}

function tooOpen(key: ConfigPath, path: string): RuleFault[] {
  try {
    // Mounted secrets are often links into a volume: what counts is the file itself.
    return (statSync(path).mode & 0o077) === 0 ? [] : [{ key, detail: `names ${path}, which others can read; make it 0600` }];
  } catch {
    return [];
  }
}
