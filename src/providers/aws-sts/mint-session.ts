import { AssumeRoleCommand, type AssumeRoleCommandInput } from '@aws-sdk/client-sts';
import type { AwsStsCredentialConfig } from '../../config/config-schema.ts';
import { Secret } from '../../core/secret.ts';
import { epochMsFrom, type EpochMs } from '../../core/time.ts';
import type { LeaseIntent } from '../../ledger/lease.ts';
import { ProviderError, type Minted } from '../credential-provider.ts';
import type { AwsClients } from './aws-clients.ts';
import { toProviderError } from './aws-failure.ts';
import type { RoleFacts } from './role-facts.ts';
import { sessionPolicy } from './session-policy.ts';

/** What STS takes (AssumeRole). No emulator checks it all, so we do. */
export const SHORTEST_SESSION_SECONDS = 900;
const MAX_TAG_VALUE = 256;

export interface MintSessionContext {
  readonly provider: string;
  readonly clients: AwsClients;
  readonly deploymentId: string;
  readonly now: () => EpochMs;
  readonly factsOf: (role: string, signal: AbortSignal) => Promise<RoleFacts>;
}

/** Until when the session itself forbids everything: our due time, in the whole seconds that IAM knows. */
export const clampOf = ({ dueAtMs }: Pick<LeaseIntent, 'dueAtMs'>): EpochMs => epochMsFrom(Math.ceil(dueAtMs / 1000) * 1000);

/** One of the roles, always the same for one lease. */
export function roleOf({ id }: Pick<LeaseIntent, 'id'>, roles: readonly string[]): string {
  return roles[Number.parseInt(id.slice(-8), 16) % roles.length] ?? '';
}

/** How long a session that is asked for at `fromMs` lives: to the due time, or the shortest that STS sells. */
export const sessionSeconds = (fromMs: EpochMs, { dueAtMs }: Pick<LeaseIntent, 'dueAtMs'>): number => Math.max(SHORTEST_SESSION_SECONDS, Math.ceil((dueAtMs - fromMs) / 1000));

/** Takes a session of a role for one lease, named by its id. Throws `ProviderError`. */
export async function mintSession(intent: LeaseIntent, credential: AwsStsCredentialConfig, context: MintSessionContext, signal: AbortSignal): Promise<Minted> {
  const { provider, clients } = context;
  const role = roleOf(intent, credential.role_arns);
  const facts = await context.factsOf(role, signal);
  const request = sessionRequest(intent, credential, { role, facts, context });
  const { Credentials: session } = await clients.sts.send(new AssumeRoleCommand(request), { abortSignal: signal }).catch((cause: unknown) => {
    throw toProviderError(provider, `taking a session for ${intent.credential}`, cause, { creates: true });
  });
  if (session?.AccessKeyId === undefined || session.SecretAccessKey === undefined || session.SessionToken === undefined || session.Expiration === undefined) {
    throw new ProviderError(provider, 'unavailable', 'AWS answered without a session', { mayHaveMinted: true });
  }
  const targetExpiresAtMs = epochMsFrom(session.Expiration.getTime());
  return {
    secret: {
      access_key_id: new Secret(session.AccessKeyId),
      secret_access_key: new Secret(session.SecretAccessKey),
      session_token: new Secret(session.SessionToken),
    },
    handle: { role_arn: role, session_ends_ms: targetExpiresAtMs },
    targetExpiresAtMs,
    // The session's own policy ends it, by the clock of AWS, at our due time.
    lapsesAtMs: clampOf(intent),
  };
}

function sessionRequest(
  intent: LeaseIntent,
  credential: AwsStsCredentialConfig,
  { role, facts, context }: { readonly role: string; readonly facts: RoleFacts; readonly context: MintSessionContext },
): AssumeRoleCommandInput {
  const refuse = (why: string): never => {
    throw new ProviderError(context.provider, 'refused', `taking a session for ${intent.credential}: ${why}`);
  };
  const seconds = sessionSeconds(context.now(), intent);
  if (seconds > facts.maxSessionSeconds) refuse(`its role gives sessions of at most ${facts.maxSessionSeconds} s`);
  let policy: string;
  try {
    policy = sessionPolicy(credential.session_policy, intent, clampOf(intent));
  } catch (error) {
    return refuse((error as RangeError).message);
  }
  const tags: Record<string, string> = {
    mayfly_deployment: context.deploymentId,
    mayfly_lease: intent.id,
    mayfly_task: intent.taskId,
    mayfly_agent: intent.agent.subject,
    mayfly_purpose: intent.purpose,
    ...(intent.chain.length === 0 ? {} : { mayfly_chain: intent.chain.map(({ subject }) => subject).join(' / ') }),
    ...(intent.subject === null ? {} : { mayfly_subject: intent.subject }),
  };
  return {
    RoleArn: role,
    RoleSessionName: intent.id,
    DurationSeconds: seconds,
    Policy: policy,
    ...(facts.tagsSessions ? { Tags: Object.entries(tags).map(([Key, value]) => ({ Key, Value: tagValue(value) })) } : {}),
    ...(facts.takesSourceIdentity ? { SourceIdentity: intent.taskId } : {}),
  };
}

/** As much of a text as a tag's value can hold (`[\p{L}\p{Z}\p{N}_.:/=+\-@]`). */
const tagValue = (text: string): string => text.replaceAll(/[^\p{L}\p{Z}\p{N}_.:/=+\-@]/gu, '_').slice(0, MAX_TAG_VALUE);
