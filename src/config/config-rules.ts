import type { AwsLoginConfig, Config, VaultLoginConfig } from './config-schema.ts';
import { issuerOfSpiffeId } from '../identity/spiffe-id.ts';
import { credentialFaults } from './credential-rules.ts';
import { oauthFaults } from './oauth-rules.ts';
import type { ConfigPath } from './load-config.ts';
import { profileFaults } from './profile-rules.ts';
import { signInFaults } from './sign-in-rules.ts';
import { trustDomainFaults, workloadApiFaults } from './spiffe-rules.ts';

export interface RuleFault {
  readonly key: ConfigPath;
  readonly detail: string;
}

/** What the schema cannot say: rules between keys, and what each environment refuses. Pure. */
export function configFaults(config: Config, options: { readonly urlFromEnvironment: boolean }): RuleFault[] {
  return [
    ...identityFaults(config),
    ...profileFaults(config),
    ...urlFaults(config),
    ...oauthFaults(config),
    ...signInFaults(config),
    ...credentialFaults(config),
    ...senderFaults(config),
    ...introspectionFaults(config),
    ...workloadApiFaults(config),
    ...authzenFaults(config),
    ...agentFaults(config),
    ...noticeFaults(config),
    ...webhookFaults(config),
    ...signalFaults(config),
    ...traceFaults(config),
    ...externalPolicyFaults(config),
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
  faults.push(...userFaults(identity, operators, own));
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
  return [...faults, ...trustDomainFaults({ identity })];
}

/** A user's token is consent; one of a workload, an operator or our own must never pass for it. */
function userFaults({ users, audience, issuers }: Config['identity'], operators: Config['operators'], own: ReadonlySet<string>): RuleFault[] {
  if (users === undefined) return [];
  const key = ['identity', 'users'];
  const faults: RuleFault[] = [];
  if (users.issuer === operators.issuer) faults.push({ key: [...key, 'issuer'], detail: 'is also the issuer of operators' });
  if (issuers.some(({ issuer }) => issuer === users.issuer)) faults.push({ key: [...key, 'issuer'], detail: 'is also an issuer of workloads' });
  if (own.has(users.issuer)) faults.push({ key: [...key, 'issuer'], detail: "is Mayfly's own issuer" });
  if ([audience, operators.audience, ...issuers.map((one) => one.audience)].includes(users.audience)) faults.push({ key: [...key, 'audience'], detail: 'is also the audience of workloads or operators' });
  return faults;
}

/** Whether a subject pattern can match a subject that starts with `prefix`. */
const reaches = (pattern: string, prefix: string): boolean =>
  pattern.startsWith(prefix) || (pattern.endsWith('*') && prefix.startsWith(pattern.slice(0, -1)));

/** An issuer is a name, compared byte for byte; what else a URL can carry has no business in it, a password least of all. */
function urlFaults({ identity, operators, providers, http, tls, policy }: Config): RuleFault[] {
  const issuers: [ConfigPath, string][] = [
    ...identity.issuers.map(({ issuer }, index): [ConfigPath, string] => [['identity', 'issuers', index, 'issuer'], issuer]),
    [['operators', 'issuer'], operators.issuer],
    ...(http.public_url === undefined ? [] : [[['http', 'public_url'], http.public_url] satisfies [ConfigPath, string]]),
    ...(tls?.public_url === undefined ? [] : [[['tls', 'public_url'], tls.public_url] satisfies [ConfigPath, string]]),
    ...(identity.users === undefined ? [] : [[['identity', 'users', 'issuer'], identity.users.issuer] as [ConfigPath, string]]),
    ...(policy.external === undefined ? [] : [[['policy', 'external', 'url'], policy.external.url] satisfies [ConfigPath, string]]),
    ...providerUrls(providers),
  ];
  return issuers.flatMap(([key, text]) => {
    const url = new URL(text);
    const faults: RuleFault[] = [];
    if (url.username !== '' || url.password !== '') faults.push({ key, detail: 'must not hold a user or a password' });
    if (key[0] === 'tls' && url.protocol === 'http:') faults.push({ key, detail: 'must be https: there is nothing else at this listener' });
    if (/[?#]/.test(text)) faults.push({ key, detail: 'must have neither a query nor a fragment' });
    return faults;
  });
}

/** Proofs are for a URL, and certificates need TLS: without either nobody could be bound. */
function senderFaults({ identity, http, tls }: Config): RuleFault[] {
  if (http.public_url !== undefined || tls !== undefined) return [];
  return identity.issuers.flatMap(({ sender_binding: binding }, index) =>
    binding === 'required' ? [{ key: ['identity', 'issuers', index, 'sender_binding'], detail: 'needs http.public_url, which proofs are compared with, or tls for certificates' }] : [],
  );
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

/** Whoever introspects is a workload, and asks about tokens that can be introspected. */
function introspectionFaults({ introspection, identity, credentials }: Config): RuleFault[] {
  const issuers = workloadIssuers(identity);
  const opaque = Object.values(credentials).flatMap((credential) => (credential.kind === 'jwt' ? [credential.audience] : []));
  return introspection.resource_servers.flatMap(({ issuer, audiences }, index) => {
    const key = ['introspection', 'resource_servers', index];
    const unknown = audiences.flatMap((audience, position) => (opaque.includes(audience) ? [] : [{ key: [...key, 'audiences', position], detail: 'is the audience of no credential of kind jwt' }]));
    return issuers.includes(issuer) ? unknown : [{ key: [...key, 'issuer'], detail: `must be one of the workload issuers: ${issuers.join(', ')}` }, ...unknown];
  });
}

/** A webhook is signed, so that its recipient knows who speaks; an address of Slack is its own secret. */
function noticeFaults({ notices }: Config): RuleFault[] {
  return notices.flatMap(({ name, kind, secret_file: secret }, index) => {
    const key = ['notices', index];
    return [
      ...(notices.slice(0, index).some((other) => other.name === name) ? [{ key: [...key, 'name'], detail: 'is listed twice' }] : []),
      ...(kind === 'webhook' && secret === undefined ? [{ key, detail: 'needs secret_file: a webhook is signed' }] : []),
      ...(kind === 'slack' && secret !== undefined ? [{ key: [...key, 'secret_file'], detail: 'is for webhooks: a notice to Slack is not signed' }] : []),
    ];
  });
}

/** Each transmitter once, and none whose word is ours or whose keys could be changed on the way. */
function signalFaults({ signals, providers, environment }: Config): RuleFault[] {
  const own = Object.values(providers).flatMap((provider) => (provider.type === 'jwt' ? [provider.issuer] : []));
  return signals.transmitters.flatMap(({ issuer, jwks_uri: jwks }, index) => {
    const key = ['signals', 'transmitters', index];
    const insecure = environment === 'production' ? ([['issuer', issuer], ['jwks_uri', jwks ?? '']] as const).filter(([, url]) => url.startsWith('http:')) : [];
    return [
      ...(signals.transmitters.slice(0, index).some((other) => other.issuer === issuer) ? [{ key: [...key, 'issuer'], detail: 'is listed twice' }] : []),
      ...(own.includes(issuer) ? [{ key: [...key, 'issuer'], detail: "is Mayfly's own issuer" }] : []),
      ...insecure.map(([field]) => ({ key: [...key, field], detail: 'must be https in production' })),
    ];
  });
}

/** Names are keys, and an address is not a place for a password. */
function webhookFaults({ webhooks, environment }: Config): RuleFault[] {
  return webhooks.flatMap(({ name, url }, index) => {
    const key = ['webhooks', index];
    const { protocol, username, password, hash } = new URL(url);
    return [
      ...(webhooks.slice(0, index).some((other) => other.name === name) ? [{ key: [...key, 'name'], detail: 'is listed twice' }] : []),
      ...(environment === 'production' && protocol === 'http:' ? [{ key: [...key, 'url'], detail: 'must be https in production' }] : []),
      ...(username + password + hash === '' ? [] : [{ key: [...key, 'url'], detail: 'must hold no user, no password and no fragment' }]),
    ];
  });
}

function traceFaults({ telemetry: { traces }, environment }: Config): RuleFault[] {
  if (traces === undefined) return [];
  const key = ['telemetry', 'traces', 'otlp_endpoint'];
  const { protocol, username, password, hash } = new URL(traces.otlp_endpoint);
  return [
    ...(environment === 'production' && protocol === 'http:' ? [{ key, detail: 'must be https in production' }] : []),
    ...(username + password + hash === '' ? [] : [{ key, detail: 'must hold no user, no password and no fragment' }]),
  ];
}

/** Metadata is found by its address alone, so there is no path to be lost on the way (AuthZEN 1.0, section 9.1). */
function authzenFaults({ authzen, identity, environment }: Config): RuleFault[] {
  const { url, callers } = authzen;
  const faults: RuleFault[] = [];
  if (url !== undefined && new URL(url).origin !== url) faults.push({ key: ['authzen', 'url'], detail: 'must be a scheme and a host, with a port if need be, and nothing after it' });
  if (url?.startsWith('http:') === true && environment === 'production') faults.push({ key: ['authzen', 'url'], detail: 'must be https in production' });
  const issuers = workloadIssuers(identity);
  const unknown = callers.flatMap(({ issuer }, index) => (issuers.includes(issuer) ? [] : [{ key: ['authzen', 'callers', index, 'issuer'], detail: `must be one of the workload issuers: ${issuers.join(', ')}` }]));
  return [...faults, ...unknown];
}

function externalPolicyFaults({ policy: { external }, environment }: Config): RuleFault[] {
  if (external === undefined) return [];
  const key = ['policy', 'external', 'url'];
  const url = new URL(external.url);
  const faults: RuleFault[] = [];
  if (external.kind === 'opa' && !url.pathname.startsWith('/v1/data/')) faults.push({ key, detail: 'must have a path below /v1/data/, which names the decision' });
  if (environment === 'production' && url.protocol === 'http:') faults.push({ key, detail: 'must be https in production' });
  if (environment === 'development' && !isLoopback(url.hostname)) faults.push({ key, detail: 'must be on a loopback address in development' });
  return faults;
}

const workloadIssuers = ({ issuers, trust_domains: domains }: Config['identity']): string[] => [...issuers.map(({ issuer }) => issuer), ...domains.map(({ name }) => `spiffe://${name}`)];

/** Each agent once, and vouched for by somebody who may call. */
function agentFaults({ agents, identity }: Config): RuleFault[] {
  const issuers = workloadIssuers(identity);
  const seen = new Set<string>();
  return agents.flatMap(({ issuer: given, subject }, index): RuleFault[] => {
    const issuer = given ?? issuerOfSpiffeId(subject);
    if (issuer === undefined) return [{ key: ['agents', index, 'subject'], detail: 'is no SPIFFE ID, which would name its trust domain: say who vouches for it, in issuer' }];
    if (!issuers.includes(issuer)) return [{ key: ['agents', index, given === undefined ? 'subject' : 'issuer'], detail: `must be vouched for by one of the workload issuers: ${issuers.join(', ')}` }];
    const who = JSON.stringify([issuer, subject]);
    const twice = seen.has(who);
    seen.add(who);
    return twice ? [{ key: ['agents', index, 'subject'], detail: 'is listed twice' }] : [];
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

function limitFaults({ limits, revocation, minting, providers, http, tls }: Config): RuleFault[] {
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

function productionFaults(config: Config): RuleFault[] {
  const insecure = (url: string): boolean => url.startsWith('http:');
  const faults: RuleFault[] = [];
  for (const [index, { issuer }] of config.identity.issuers.entries()) {
    const { token_review: review } = config.identity.issuers[index] ?? {};
    if (review !== undefined && insecure(review.url)) faults.push({ key: ['identity', 'issuers', index, 'token_review', 'url'], detail: 'must be https in production' });
    if (insecure(issuer)) faults.push({ key: ['identity', 'issuers', index, 'issuer'], detail: 'must be https in production' });
  }
  if (config.http.public_url !== undefined && insecure(config.http.public_url)) faults.push({ key: ['http', 'public_url'], detail: 'must be https in production' });
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
    case 'jwt_svid':
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
  if (config.tls !== undefined && !isLoopback(config.tls.host)) faults.push({ key: ['tls', 'host'], detail: 'must be a loopback address in development' });
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
