import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { Config, VaultCredentialConfig, VaultProviderConfig } from '../config/config-schema.ts';
import { systemClock } from '../core/clock.ts';
import { createWorkloadApi } from '../identity/workload-api/workload-api.ts';
import { Secret } from '../core/secret.ts';
import { VaultClient, VaultFailure } from '../providers/vault/vault-client.ts';
import { VaultLogin } from '../providers/vault/vault-login.ts';
import { failure, ok, skipped, warning, type Check, type Finding } from './check.ts';

type Right = keyof VaultProviderConfig['login'];
const RIGHTS: readonly Right[] = ['api', 'worker', 'reconciler'];

const health = z.object({ version: z.string(), sealed: z.boolean(), server_time_utc: z.number() });
const self = z.object({ data: z.object({ accessor: z.string(), policies: z.array(z.string()), ttl: z.number() }) });
const capabilities = z.object({ data: z.record(z.string(), z.unknown()) });
const tokenRole = z.object({
  data: z.object({
    orphan: z.boolean(),
    token_no_default_policy: z.boolean().default(false),
    token_explicit_max_ttl: z.number().default(0),
    allowed_policies: z.array(z.string()).nullish(),
    allowed_policies_glob: z.array(z.string()).nullish(),
  }),
});
const databaseRole = z.object({ data: z.object({ default_ttl: z.number(), max_ttl: z.number() }) });

export type TokenRole = z.infer<typeof tokenRole>['data'];

/** What a login must not be able to do, by right: each would make the broker more than a broker. */
const FORBIDDEN: Readonly<Record<Right, readonly string[]>> = {
  api: ['auth/token/create', 'auth/token/create-orphan', 'auth/token/accessors', 'sys/policies/acl/mayfly-api', 'sys/auth/mayfly-doctor', 'sys/mounts/mayfly-doctor'],
  worker: ['auth/token/create', 'auth/token/create-orphan', 'auth/token/accessors', 'sys/policies/acl/mayfly-api', 'sys/auth/mayfly-doctor'],
  reconciler: ['auth/token/create', 'auth/token/create-orphan', 'auth/token/revoke-accessor', 'sys/policies/acl/mayfly-api', 'sys/auth/mayfly-doctor'],
};

/** A token role stands well when what it makes is bounded by itself, whatever the broker asks for. Pure. */
export function judgeTokenRole(name: string, role: TokenRole, longestSeconds: number): Finding[] {
  const check = 'vault.token_role';
  const findings: Finding[] = [];
  const bad = (found: string, fix: string): void => void findings.push(failure(check, `${name}: ${found}`, `write auth/token/roles/${name} ${fix}`));
  if (!role.orphan) bad("its tokens are no orphans: they would die with the broker's own", 'orphan=true');
  if (!role.token_no_default_policy) bad('its tokens get the policy default', 'token_no_default_policy=true');
  if (role.token_explicit_max_ttl === 0) bad('its tokens have no explicit maximum', `token_explicit_max_ttl=${longestSeconds}`);
  else if (role.token_explicit_max_ttl > longestSeconds) bad(`its tokens may live ${role.token_explicit_max_ttl} s, longer than any lease (${longestSeconds} s)`, `token_explicit_max_ttl=${longestSeconds}`);
  const policies = role.allowed_policies ?? [];
  if ((role.allowed_policies_glob ?? []).length > 0) bad('it allows policies by pattern', 'allowed_policies_glob=""');
  if (policies.length === 0) bad('it names no policies, so it allows any', 'allowed_policies=<the policy of this credential>');
  const broad = policies.filter((policy) => policy === 'root' || policy === 'default' || /^mayfly-(api|worker|reconciler)$/.test(policy));
  if (broad.length > 0) bad(`it allows ${broad.join(', ')}`, 'allowed_policies=<the policy of this credential>');
  return findings.length > 0 ? findings : [ok(check, `${name}: orphan, no default policy, ${role.token_explicit_max_ttl} s at most, ${policies.join(', ')}`)];
}

/** A broker's own token stands well when it is nothing but what its right needs. Pure. */
export function judgeLogin(right: Right, policies: readonly string[], allowed: readonly string[]): Finding[] {
  const check = `vault.login.${right}`;
  if (policies.includes('root')) return [failure(check, 'logs in with a root token', 'use the AppRole, JWT or Kubernetes login of config/vault')];
  if (allowed.length > 0) return [failure(check, `may also use ${allowed.join(', ')}`, `give it nothing but config/vault/${right}.hcl`)];
  if (policies.includes('default')) return [warning(check, 'has the policy default', 'token_no_default_policy=true on its login role')];
  return [ok(check, `logs in, with ${policies.join(', ')}`)];
}

/** `operatorToken`: of a person, for what the broker itself may not read; its rights are used for reading alone. */
export const vaultCheck = (name: string, provider: VaultProviderConfig, config: Config, operatorToken: string | undefined): Check => ({
  area: `vault.${name}`,
  async look(signal) {
    const client = new VaultClient({ address: provider.address, namespace: provider.namespace, caFile: provider.ca_file, timeoutMs: provider.timeout_ms });
    try {
      const reached = await reach(client, provider, signal);
      if (reached.some(({ standing }) => standing === 'failure')) return reached;
      const person = operatorToken === undefined ? undefined : new Secret(operatorToken);
      const logins = await Promise.all(RIGHTS.map((right) => lookAtLogin(right, client, provider, person, config.workload_api.socket, signal)));
      return [...reached, ...logins.flat(), ...(await lookAtRoles(name, client, config, provider, person, signal))];
    } finally {
      await client.close();
    }
  },
});

async function reach(client: VaultClient, { address }: VaultProviderConfig, signal: AbortSignal): Promise<Finding[]> {
  try {
    const { version, sealed, server_time_utc: theirs } = await client.request({ method: 'GET', path: 'sys/health', answer: health, signal });
    if (sealed) return [failure('vault.reachable', `${address} is sealed`, 'unseal it')];
    const skew = Math.round(systemClock.now() / 1000 - theirs);
    const clock = Math.abs(skew) > 5 ? warning('vault.clock', `${skew} s from our clock`, 'run NTP on both machines: credentials end by both clocks') : ok('vault.clock', `${skew} s from our clock`);
    return [ok('vault.reachable', `${address} answers, version ${version}`), clock];
  } catch (error) {
    return [failure('vault.reachable', `${address} does not answer: ${error instanceof Error ? error.message : ''}`, 'start it, or mend address and ca_file of the provider')];
  }
}

/** How long a login is waited for. */
const LOGIN_MS = 4_000;

async function lookAtLogin(right: Right, client: VaultClient, provider: VaultProviderConfig, person: Secret | undefined, socket: string | undefined, signal: AbortSignal): Promise<Finding[]> {
  const agent = socket === undefined || provider.login[right].method !== 'jwt_svid' ? undefined : createWorkloadApi({ socket, clock: systemClock, log: { warn: () => undefined } });
  const session = new VaultLogin({ provider: 'doctor', right, config: provider.login[right], client, clock: systemClock, jwtSvid: agent?.jwtSvid });
  try {
    const { data } = await firstAnswer(() => session.call({ method: 'GET', path: 'auth/token/lookup-self', answer: self, signal }));
    const allowed = person === undefined ? undefined : await allowedOf(data.accessor, FORBIDDEN[right], client, person, signal);
    const findings = judgeLogin(right, data.policies, allowed ?? []);
    const unseen = skipped(`vault.login.${right}`, 'whether it may do more than it must was not looked at', 'run doctor with VAULT_TOKEN of a person who may use sys/capabilities-accessor');
    return allowed === undefined ? [...findings, unseen] : findings;
  } catch (error) {
    return [failure(`vault.login.${right}`, error instanceof Error ? error.message : 'cannot log in', `mend providers.*.login.${right} and what it names`)];
  } finally {
    session.close();
    agent?.close();
  }
}

/** A login is made in the background: asks until it stands, or its failure does. */
async function firstAnswer<T>(ask: () => Promise<T>): Promise<T> {
  const untilMs = performance.now() + LOGIN_MS;
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (performance.now() > untilMs) throw error;
      await sleep(100);
    }
  }
}

async function allowedOf(accessor: string, paths: readonly string[], client: VaultClient, token: Secret, signal: AbortSignal): Promise<string[] | undefined> {
  try {
    const { data } = await client.request({ method: 'POST', path: 'sys/capabilities-accessor', body: { accessor, paths }, token, answer: capabilities, signal });
    return paths.filter((path) => Array.isArray(data[path]) && !data[path].includes('deny'));
  } catch {
    return undefined;
  }
}

async function lookAtRoles(name: string, client: VaultClient, config: Config, provider: VaultProviderConfig, person: Secret | undefined, signal: AbortSignal): Promise<Finding[]> {
  const own = Object.values(config.credentials).filter((credential) => 'token_role' in credential && credential.provider === name) as VaultCredentialConfig[];
  if (person === undefined) return [skipped('vault.token_role', `the token roles of ${own.length} credentials were not looked at: the broker may not read them`, 'run doctor with VAULT_TOKEN of a person who may read auth/token/roles/* and the database roles')];
  const longest = config.limits.max_ttl_seconds + provider.target_margin_seconds;
  // A minute of slack, since a role is one number for whatever margin is configured.
  const roles = own.map(({ token_role: role }) => reading(`auth/token/roles/${role}`, tokenRole, ({ data }) => judgeTokenRole(role, data, longest + 60)));
  const databases = own.flatMap((credential) => (credential.kind === 'vault.dynamic' && /^[^/]+\/creds\/[^/{]+$/.test(credential.path) ? [credential.path.replace('/creds/', '/roles/')] : []));
  const lifetimes = databases.map((path) => reading(path, databaseRole, ({ data }) => judgeDatabaseRole(path, data, config.limits.max_ttl_seconds)));
  return (await Promise.all([...roles, ...lifetimes])).flat();

  async function reading<T>(path: string, answer: z.ZodType<T>, judge: (answer: T) => Finding[]): Promise<Finding[]> {
    try {
      return judge(await client.request({ method: 'GET', path, ...(person === undefined ? {} : { token: person }), answer, signal }));
    } catch (error) {
      const status = error instanceof VaultFailure ? error.status : null;
      if (status === 404) return [failure('vault.role', `there is no ${path}`, `create it: credentials that use it cannot be minted`)];
      return [skipped('vault.role', `${path} cannot be read (${status ?? 'no answer'})`, `let VAULT_TOKEN read ${path}`)];
    }
  }
}

/** A database login lives by its role's TTL, whatever becomes of Mayfly: no longer than any lease may. */
function judgeDatabaseRole(path: string, { default_ttl: usual, max_ttl: most }: z.infer<typeof databaseRole>['data'], ceiling: number): Finding[] {
  const check = 'vault.database_role';
  const longest = Math.max(usual, most);
  if (usual === 0 || longest > ceiling) return [failure(check, `${path}: logins may live ${longest === 0 ? 'as long as the mount lets them' : `${longest} s`}, longer than the ceiling of ${ceiling} s`, `write ${path} default_ttl=${ceiling} max_ttl=${ceiling}`)];
  return [ok(check, `${path}: logins live ${longest} s at most`)];
}
