import type { AwsLoginConfig, AwsStsCredentialConfig, Config, CredentialConfig, VaultLoginConfig } from './config-schema.ts';
import type { ConfigPath } from './load-config.ts';

export interface RuleFault {
  readonly key: ConfigPath;
  readonly detail: string;
}

/** What the schema cannot say: rules between keys, and what each environment refuses. Pure. */
export function configFaults(config: Config, options: { readonly urlFromEnvironment: boolean }): RuleFault[] {
  return [
    ...identityFaults(config),
    ...urlFaults(config),
    ...credentialFaults(config),
    ...tokenRoleFaults(config),
    ...introspectionFaults(config),
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
  for (const [index, { subjects }] of identity.issuers.entries()) {
    for (const [position, pattern] of (subjects ?? []).entries()) {
      const domain = identity.trust_domains.find(({ name }) => reaches(pattern, `spiffe://${name}/`));
      if (domain === undefined) continue;
      const detail = `lets this issuer vouch for members of the trust domain ${domain.name}, which only that domain's own keys may do`;
      faults.push({ key: ['identity', 'issuers', index, 'subjects', position], detail });
    }
  }
  if (own.has(operators.issuer)) faults.push({ key: ['operators', 'issuer'], detail: "is Mayfly's own issuer" });
  if (identity.audience === operators.audience) faults.push({ key: ['operators', 'audience'], detail: 'is also the audience of workloads; an operator token must never pass as a workload' });
  for (const [index, { name, bundle_file: bundle }] of identity.trust_domains.entries()) {
    const before = identity.trust_domains.slice(0, index);
    if (before.some((other) => other.name === name)) faults.push({ key: ['identity', 'trust_domains', index, 'name'], detail: 'is listed twice' });
    else if (before.some((other) => other.bundle_file === bundle)) {
      faults.push({ key: ['identity', 'trust_domains', index, 'bundle_file'], detail: "is another trust domain's too; each would then sign for the other's workloads" });
    }
  }
  return faults;
}

/** Whether a subject pattern can match a subject that starts with `prefix`. */
const reaches = (pattern: string, prefix: string): boolean =>
  pattern.startsWith(prefix) || (pattern.endsWith('*') && prefix.startsWith(pattern.slice(0, -1)));

/** An issuer is a name, compared byte for byte; what else a URL can carry has no business in it, a password least of all. */
function urlFaults({ identity, operators, providers }: Config): RuleFault[] {
  const issuers: [ConfigPath, string][] = [
    ...identity.issuers.map(({ issuer }, index): [ConfigPath, string] => [['identity', 'issuers', index, 'issuer'], issuer]),
    [['operators', 'issuer'], operators.issuer],
    ...providerUrls(providers),
  ];
  return issuers.flatMap(([key, text]) => {
    const url = new URL(text);
    const faults: RuleFault[] = [];
    if (url.username !== '' || url.password !== '') faults.push({ key, detail: 'must not hold a user or a password' });
    if (/[?#]/.test(text)) faults.push({ key, detail: 'must have neither a query nor a fragment' });
    return faults;
  });
}

/** Where each provider is, or what it calls itself. */
function providerUrls(providers: Config['providers']): [ConfigPath, string][] {
  return Object.entries(providers).flatMap(([name, provider]): [ConfigPath, string][] => {
    switch (provider.type) {
      case 'jwt':
        return [[['providers', name, 'issuer'], provider.issuer]];
      case 'vault':
        return [[['providers', name, 'address'], provider.address]];
      case 'aws-sts':
        return provider.endpoint === undefined ? [] : [[['providers', name, 'endpoint'], provider.endpoint]];
      default:
        return provider satisfies never;
    }
  });
}

/** The type of provider that mints a kind: what stands before its dot. */
function providerTypeOf(kind: CredentialConfig['kind']): Config['providers'][string]['type'] {
  switch (kind) {
    case 'jwt':
      return 'jwt';
    case 'aws.sts':
      return 'aws-sts';
    default:
      return 'vault';
  }
}

function credentialFaults({ credentials, providers, identity, operators, limits }: Config): RuleFault[] {
  return Object.entries(credentials).flatMap(([name, credential]) => {
    const key = ['credentials', name];
    const faults: RuleFault[] = [];
    const provider = providers[credential.provider];
    const wanted = providerTypeOf(credential.kind);
    if (provider === undefined) faults.push({ key: [...key, 'provider'], detail: `must be one of the configured providers: ${Object.keys(providers).join(', ')}` });
    else if (provider.type !== wanted) faults.push({ key: [...key, 'provider'], detail: `must be a provider of type ${wanted} for the kind ${credential.kind}` });
    if ((credential.max_ttl_seconds ?? 0) > limits.max_ttl_seconds) {
      faults.push({ key: [...key, 'max_ttl_seconds'], detail: `must be at most limits.max_ttl_seconds, ${limits.max_ttl_seconds}` });
    }
    if ('renewable' in credential && credential.renewable === true && credential.max_ttl_seconds === undefined) {
      faults.push({ key: [...key, 'renewable'], detail: 'needs max_ttl_seconds: the target is told the longest it may ever live' });
    }
    if (credential.kind === 'jwt' && [identity.audience, operators.audience, ...identity.issuers.map((issuer) => issuer.audience)].includes(credential.audience)) {
      faults.push({ key: [...key, 'audience'], detail: "is Mayfly's own audience; a minted token must not be able to declare tasks" });
    }
    if (credential.kind === 'aws.sts') faults.push(...sessionFaults(key, credential));
    if (credential.kind === 'vault.dynamic') faults.push(...pathFaults(key, credential.path, credential.params));
    if (credential.kind === 'vault.kv') {
      faults.push(...pathFaults(key, credential.path, credential.params));
      if (!isPlainPath(credential.mount)) faults.push({ key: [...key, 'mount'], detail: 'must be plain segments, with no slash at either end, and no parameter' });
      if (credential.version !== undefined && credential.engine_version === 1) faults.push({ key: [...key, 'version'], detail: 'needs engine_version 2: version 1 keeps only the newest' });
    }
    for (const [param, schema] of Object.entries(credential.params)) {
      if (schema.type === 'string' && schema.pattern !== undefined && !isPattern(schema.pattern)) {
        faults.push({ key: [...key, 'params', param, 'pattern'], detail: 'must be a regular expression (JavaScript, with the flag u)' });
      }
      if (schema.type === 'integer' && schema.min !== undefined && schema.max !== undefined && schema.min > schema.max) {
        faults.push({ key: [...key, 'params', param, 'min'], detail: 'must be at most max' });
      }
    }
    return faults;
  });
}

type Params = Config['credentials'][string]['params'];

/** A path is fixed but for whole segments that declared parameters fill. */
function pathFaults(key: ConfigPath, path: string, params: Params): RuleFault[] {
  const faults: RuleFault[] = [];
  const segments = path.split('/');
  const used = segments.flatMap((segment) => /^\{([^{}]*)\}$/.exec(segment)?.[1] ?? []);
  if (!isPlain(segments)) {
    faults.push({ key: [...key, 'path'], detail: 'must be plain segments, with no slash at either end, and no wildcard' });
  }
  if (segments.some((segment) => /[{}]/.test(segment.replace(/^\{[^{}]*\}$/, '')))) {
    faults.push({ key: [...key, 'path'], detail: 'must use a parameter as a whole segment, as in database/creds/{role}' });
  }
  for (const param of used) {
    if (!Object.hasOwn(params, param)) faults.push({ key: [...key, 'path'], detail: `uses {${param}}, which params does not define` });
    else if (params[param]?.required === false) faults.push({ key: [...key, 'params', param, 'required'], detail: 'must be true: the path needs it' });
  }
  for (const param of Object.keys(params).filter((name) => !used.includes(name))) faults.push({ key: [...key, 'params', param], detail: 'is not used in path' });
  return faults;
}

/** AWS sells no session beyond twelve hours. */
const LONGEST_SESSION_SECONDS = 43_200;

function sessionFaults(key: ConfigPath, { session_policy: statements, params, max_ttl_seconds: most, role_arns: roles }: AwsStsCredentialConfig): RuleFault[] {
  const faults: RuleFault[] = [];
  if ((most ?? 0) > LONGEST_SESSION_SECONDS) faults.push({ key: [...key, 'max_ttl_seconds'], detail: `must be at most ${LONGEST_SESSION_SECONDS}: AWS sells no longer session` });
  const used = new Set<string>();
  for (const [index, { resources }] of statements.entries()) {
    for (const [position, resource] of resources.entries()) {
      const at = [...key, 'session_policy', index, 'resources', position];
      for (const [, param = ''] of resource.matchAll(/\{([^{}]*)\}/g)) {
        used.add(param);
        if (!Object.hasOwn(params, param)) faults.push({ key: at, detail: `uses {${param}}, which params does not define` });
        else if (params[param]?.required === false) faults.push({ key: [...key, 'params', param, 'required'], detail: 'must be true: the session policy needs it' });
      }
    }
  }
  for (const param of Object.keys(params).filter((name) => !used.has(name))) faults.push({ key: [...key, 'params', param], detail: 'is not used in session_policy' });
  for (const [index, role] of roles.entries()) if (roles.indexOf(role) !== index) faults.push({ key: [...key, 'role_arns', index], detail: 'is listed twice' });
  return faults;
}

const isPlain = (segments: readonly string[]): boolean => !segments.some((segment) => ['', '.', '..'].includes(segment) || /[?#*+\s%]/.test(segment));
const isPlainPath = (path: string): boolean => isPlain(path.split('/')) && !/[{}]/.test(path);

function isPattern(text: string): boolean {
  try {
    new RegExp(`^(?:${text})$`, 'u');
    return true;
  } catch {
    return false;
  }
}

/** Two credentials on one token role would each have the rights of both. */
function tokenRoleFaults({ credentials }: Config): RuleFault[] {
  const owners = new Map<string, string>();
  return Object.entries(credentials).flatMap(([name, credential]) => {
    if (!('token_role' in credential)) return [];
    const role = `${credential.provider}/${credential.token_role}`;
    const owner = owners.get(role);
    owners.set(role, owner ?? name);
    return owner === undefined ? [] : [{ key: ['credentials', name, 'token_role'], detail: `is also that of ${owner}; each credential has its own` }];
  });
}

/** Whoever introspects is a workload, and asks about tokens that can be introspected. */
function introspectionFaults({ introspection, identity, credentials }: Config): RuleFault[] {
  const issuers = [...identity.issuers.map(({ issuer }) => issuer), ...identity.trust_domains.map(({ name }) => `spiffe://${name}`)];
  const opaque = Object.values(credentials).flatMap((credential) => (credential.kind === 'jwt' ? [credential.audience] : []));
  return introspection.resource_servers.flatMap(({ issuer, audiences }, index) => {
    const key = ['introspection', 'resource_servers', index];
    const unknown = audiences.flatMap((audience, position) => (opaque.includes(audience) ? [] : [{ key: [...key, 'audiences', position], detail: 'is the audience of no credential of kind jwt' }]));
    return issuers.includes(issuer) ? unknown : [{ key: [...key, 'issuer'], detail: `must be one of the workload issuers: ${issuers.join(', ')}` }, ...unknown];
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

function limitFaults({ limits, revocation, minting, providers, http }: Config): RuleFault[] {
  const faults: RuleFault[] = [];
  if (limits.default_ttl_seconds > limits.max_ttl_seconds) faults.push({ key: ['limits', 'default_ttl_seconds'], detail: 'must be at most limits.max_ttl_seconds' });
  if (revocation.retry_first_ms > revocation.retry_max_ms) faults.push({ key: ['revocation', 'retry_first_ms'], detail: 'must be at most revocation.retry_max_ms' });
  for (const [name, provider] of Object.entries(providers)) {
    if (provider.type !== 'jwt' && provider.timeout_ms > minting.timeout_ms) {
      faults.push({ key: ['providers', name, 'timeout_ms'], detail: `must be at most minting.timeout_ms, ${minting.timeout_ms}` });
    }
  }
  if (http.port !== 0 && http.port === http.metrics_port) faults.push({ key: ['http', 'metrics_port'], detail: 'must differ from http.port' });
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
    if (provider.type === 'vault') faults.push(...sharedLoginFaults(['providers', name, 'login'], provider.login, vaultLoginIdentity));
    if (provider.type === 'aws-sts') faults.push(...sharedLoginFaults(['providers', name, 'login'], provider.login, awsLoginIdentity));
  }
  for (const [key, url] of providerUrls(config.providers)) if (insecure(url)) faults.push({ key, detail: 'must be https in production' });
  return faults;
}

/** One login with the rights of two is what separate logins are there to prevent. */
function sharedLoginFaults<L extends { readonly method: string }>(key: ConfigPath, login: Readonly<Record<string, L>>, identityOf: (login: L) => string): RuleFault[] {
  const owners = new Map<string, string>();
  return Object.entries(login).flatMap(([right, config]) => {
    const identity = identityOf(config);
    const owner = owners.get(identity);
    owners.set(identity, owner ?? right);
    return owner === undefined ? [] : [{ key: [...key, right], detail: `is the same login as ${owner} (${config.method}); in production each right has its own` }];
  });
}

/** What tells one login from another. One workload's token may log in for several roles: each has rights of its own. */
function vaultLoginIdentity(login: VaultLoginConfig): string {
  switch (login.method) {
    case 'approle':
      return login.role_id_file;
    case 'token_file':
      return login.file;
    case 'jwt':
    case 'kubernetes':
      return JSON.stringify([login.mount, login.role]);
    default:
      return login satisfies never;
  }
}

function awsLoginIdentity(login: AwsLoginConfig): string {
  switch (login.method) {
    case 'web_identity':
      return login.role_arn;
    case 'credentials_file':
      return JSON.stringify([login.credentials_file, login.profile]);
    case 'environment':
      return login.method;
    default:
      return login satisfies never;
  }
}

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[?::1\]?)$/;

/** Whether a host is this machine, and nothing else. */
export const isLoopback = (host: string): boolean => LOOPBACK.test(host);

function developmentFaults(config: Config): RuleFault[] {
  const faults: RuleFault[] = [];
  if (!isLoopback(config.http.host)) faults.push({ key: ['http', 'host'], detail: 'must be a loopback address in development' });
  for (const [name, provider] of Object.entries(config.providers)) {
    if (provider.type === 'vault' && !isLoopback(new URL(provider.address).hostname)) {
      faults.push({ key: ['providers', name, 'address'], detail: 'must be on a loopback address in development' });
    }
    if (provider.type === 'aws-sts' && (provider.endpoint === undefined || !isLoopback(new URL(provider.endpoint).hostname))) {
      faults.push({ key: ['providers', name, 'endpoint'], detail: 'must be on a loopback address in development' });
    }
  }
  if (config.redis.url !== undefined && !isLoopback(new URL(config.redis.url).hostname)) {
    faults.push({ key: ['redis', 'url'], detail: 'must be on a loopback address in development' });
  }
  return faults;
}
