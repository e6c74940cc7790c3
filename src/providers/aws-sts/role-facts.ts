import { GetRoleCommand, type IAMClient } from '@aws-sdk/client-iam';
import { ProviderError } from '../credential-provider.ts';
import { toProviderError } from './aws-failure.ts';

/** What a role's own settings say of the sessions it gives. */
export interface RoleFacts {
  readonly maxSessionSeconds: number;
  /** Whether its trust policy lets sessions be tagged, and lets them name a source identity. */
  readonly tagsSessions: boolean;
  readonly takesSourceIdentity: boolean;
}

/** The name of a role, without its path. */
export const roleName = (arn: string): string => arn.slice(arn.lastIndexOf('/') + 1);

/**
 * Asks for a role. Throws `ProviderError`: `refused` for one without a permissions boundary, since whoever may write its
 * inline policy could otherwise give it any right.
 */
export async function readRole(iam: IAMClient, arn: string, provider: string, signal: AbortSignal): Promise<RoleFacts> {
  const { Role: role } = await iam.send(new GetRoleCommand({ RoleName: roleName(arn) }), { abortSignal: signal }).catch((cause: unknown) => {
    throw toProviderError(provider, `reading the role ${roleName(arn)}`, cause);
  });
  if (role?.PermissionsBoundary?.PermissionsBoundaryArn === undefined) {
    throw new ProviderError(provider, 'refused', `the role ${roleName(arn)} has no permissions boundary; who may deny its sessions could give it any right`);
  }
  const trusts = trustedActions(role.AssumeRolePolicyDocument ?? '');
  return {
    maxSessionSeconds: role.MaxSessionDuration ?? 3_600,
    tagsSessions: trusts('sts:TagSession'),
    takesSourceIdentity: trusts('sts:SetSourceIdentity'),
  };
}

/** Whether an encoded trust policy allows an action to somebody; for whom, and under which condition, AWS judges. */
export function trustedActions(encoded: string): (action: string) => boolean {
  const allowed = new Set<string>();
  try {
    const { Statement: found } = JSON.parse(decodeURIComponent(encoded)) as { Statement?: unknown };
    for (const statement of [found].flat() as { Effect?: string; Action?: string | string[] }[]) {
      if (statement.Effect === 'Allow') for (const action of [statement.Action ?? []].flat()) allowed.add(action.toLowerCase());
    }
  } catch {
    // What cannot be read allows nothing; a session without tags is a session all the same.
  }
  return (action) => [action.toLowerCase(), 'sts:*', '*'].some((one) => allowed.has(one));
}
