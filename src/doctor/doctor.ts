import type { Config } from '../config/config-schema.ts';
import { createIssuerFetch } from '../identity/issuer-fetch.ts';
import { agentsCheck } from './agents-check.ts';
import { awsCheck } from './aws-check.ts';
import { runChecks, type Check, type Finding } from './check.ts';
import { externalPolicyChecks } from './external-policy-check.ts';
import { identityChecks } from './issuer-check.ts';
import { auditCheck, epochCheck, keysCheck, policyCheck, portsCheck } from './local-checks.ts';
import { recipientChecks } from './recipients-check.ts';
import { redisCheck } from './redis-check.ts';
import { signInChecks } from './sign-in-check.ts';
import { tlsCheck } from './spiffe-check.ts';
import { vaultCheck } from './vault-check.ts';

export interface DoctorOptions {
  /** A person's Vault token, for what the broker itself may not read. */
  readonly vaultToken?: string | undefined;
  /** Areas to look at: the part of a check's name before its first dot. All when empty. */
  readonly only?: readonly string[];
}

/** Looks at all that a deployment hangs on. Changes nothing, mints nothing. */
export function examine(config: Config, { vaultToken, only = [] }: DoctorOptions = {}): Promise<Finding[]> {
  const clouds = Object.entries(config.providers).flatMap(([name, provider]) => (provider.type === 'aws-sts' ? [awsCheck(name, provider, config)] : []));
  const vaults = Object.entries(config.providers).flatMap(([name, provider]) => (provider.type === 'vault' ? [vaultCheck(name, provider, config, vaultToken)] : []));
  const checks: Check[] = [redisCheck(config), epochCheck(config), ...vaults, ...clouds, ...identityChecks(config, createIssuerFetch(config)), ...signInChecks(config, createIssuerFetch(config)), ...(config.tls === undefined ? [] : [tlsCheck(config.tls)]), keysCheck(config), auditCheck(config), policyCheck(config), ...externalPolicyChecks(config), ...recipientChecks(config), agentsCheck(config), portsCheck(config)];
  return runChecks(checks.filter(({ area }) => only.length === 0 || only.includes(area.split('.')[0] ?? '')));
}

/**
 * What a production broker refuses to start on: a ledger that forgets, or a login that is more than a broker's. What
 * cannot be reached is no reason: the broker waits for it, and grants nothing meanwhile.
 */
export async function refusals(config: Config): Promise<Finding[]> {
  const findings = await examine(config, { only: ['redis', 'vault'] });
  const unreachable = findings.some(({ check, standing }) => check === 'redis.reachable' && standing === 'failure');
  return findings.filter(({ check, standing }) => standing === 'failure' && !check.endsWith('.reachable') && !isAbsence(check) && !(unreachable && check.startsWith('redis')));
}

/** A login that does not work yet is tried again by the broker; one that is too wide says so when it works. */
const isAbsence = (check: string): boolean => check === 'vault.role';
