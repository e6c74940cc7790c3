import { GetCallerIdentityCommand } from '@aws-sdk/client-sts';
import type { AwsStsProviderConfig, Config } from '../config/config-schema.ts';
import { createAwsClients } from '../providers/aws-sts/aws-clients.ts';
import { toProviderError } from '../providers/aws-sts/aws-failure.ts';
import { readRole, roleName, type RoleFacts } from '../providers/aws-sts/role-facts.ts';
import { failure, ok, type Check, type Finding } from './check.ts';

/** Both logins of a provider at AWS, and every role that its sessions are of. */
export const awsCheck = (name: string, provider: AwsStsProviderConfig, config: Config): Check => ({
  area: `aws.${name}`,
  async look(signal) {
    const logins = await Promise.all((['api', 'worker'] as const).map((right) => lookAtLogin(right, provider, signal)));
    const findings = logins.flat();
    if (findings.some(({ standing }) => standing === 'failure')) return findings;
    const longest = new Map<string, number>();
    for (const credential of Object.values(config.credentials)) {
      if (credential.kind !== 'aws.sts' || credential.provider !== name) continue;
      for (const role of credential.role_arns) longest.set(role, Math.max(longest.get(role) ?? 0, credential.max_ttl_seconds ?? config.limits.max_ttl_seconds));
    }
    const clients = createAwsClients(provider, provider.login.api);
    try {
      const roles = await Promise.all(
        [...longest].map(async ([arn, seconds]) => {
          try {
            return judgeRole(roleName(arn), await readRole(clients.iam, arn, name, signal), seconds);
          } catch (error) {
            return [failure('aws.role', error instanceof Error ? error.message : String(error), 'see "aws-sts" in docs/providers.md for what a role needs')];
          }
        }),
      );
      return [...findings, ...roles.flat()];
    } finally {
      clients.destroy();
    }
  },
});

/** A role stands well when it gives sessions as long as they may be asked for. What its trust policy lets a session carry is told. Pure. */
export function judgeRole(name: string, facts: RoleFacts, longestSeconds: number): Finding[] {
  const check = 'aws.role';
  if (facts.maxSessionSeconds < longestSeconds) {
    return [failure(check, `${name}: gives sessions of at most ${facts.maxSessionSeconds} s, and ${longestSeconds} s may be asked for`, `lower max_ttl_seconds of its credentials, or raise MaxSessionDuration of the role`)];
  }
  const carried = [facts.tagsSessions ? 'session tags' : 'no session tags', facts.takesSourceIdentity ? 'source identity' : 'no source identity'];
  return [ok(check, `${name}: has a permissions boundary, sessions of ${facts.maxSessionSeconds} s at most, ${carried.join(', ')}`)];
}

async function lookAtLogin(right: 'api' | 'worker', provider: AwsStsProviderConfig, signal: AbortSignal): Promise<Finding[]> {
  const check = `aws.login.${right}`;
  const clients = createAwsClients(provider, provider.login[right]);
  try {
    const { Arn: arn = '' } = await clients.sts.send(new GetCallerIdentityCommand({}), { abortSignal: signal });
    return arn.endsWith(':root') ? [failure(check, 'logs in as the root of the account', 'give it an identity of its own, with the rights in docs/providers.md')] : [ok(check, `logs in, as ${arn}`)];
  } catch (error) {
    return [failure(check, toProviderError('aws', 'logging in', error).message, 'check login, region and endpoint of this provider')];
  } finally {
    clients.destroy();
  }
}
