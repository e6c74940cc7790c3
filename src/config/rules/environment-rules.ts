import type { AwsLoginConfig, Config, VaultLoginConfig } from '../config-schema.ts';
import type { ConfigPath } from '../load-config.ts';
import { isLoopback } from '../loopback.ts';
import type { RuleFault } from './rule-fault.ts';

/** Beside `https`, which `urlFaults` asks for. */
export const productionFaults = ({ providers }: Config): RuleFault[] =>
  Object.entries(providers).flatMap(([name, provider]) => {
    const key = ['providers', name, 'login'];
    if (provider.type === 'vault') return sharedLoginFaults(key, provider.login, vaultLoginIdentity);
    return provider.type === 'aws-sts' ? sharedLoginFaults(key, provider.login, awsLoginIdentity) : [];
  });

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

export function developmentFaults(config: Config): RuleFault[] {
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
