import type { CredentialConfig, VaultProviderConfig } from '../../config/config-schema.ts';
import type { Clock } from '../../core/clock.ts';
import { Secret } from '../../core/secret.ts';
import { addSeconds, toRfc3339, type EpochMs } from '../../core/time.ts';
import type { LeaseIntent } from '../../ledger/lease.ts';
import { ProviderError, type Minted } from '../credential-provider.ts';
import { fillPath } from './leased-path.ts';
import * as answers from './vault-answers.ts';
import type { VaultClient } from './vault-client.ts';
import { mayHaveActed, toProviderError } from './vault-failure.ts';
import type { VaultHandle } from './vault-handle.ts';
import type { VaultSession } from './vault-login.ts';

export type VaultCredential = Extract<CredentialConfig, { kind: 'vault.token' | 'vault.dynamic' }>;

export interface MintContext {
  readonly provider: string;
  readonly client: VaultClient;
  readonly session: VaultSession;
  readonly config: Pick<VaultProviderConfig, 'namespace' | 'target_margin_seconds'>;
  readonly deploymentId: string;
  readonly clock: Clock;
}

/** A token that hangs on a leased path is used once; with the last use spent, Vault would revoke the lease with it. */
const USES_FOR_ONE_READ = 2;
const UNLIMITED_USES = 0;

/** The database engine sets VALID UNTIL this long after the end of the lease (`dbplugin` in OpenBao and Vault). */
export const DATABASE_EXPIRY_BUFFER_SECONDS = 5;

/**
 * How long undoing a half-done mint may take. A target that answers does it in milliseconds; for one that does not, the
 * caller should not wait: the ledger takes over.
 */
const UNDO_TIMEOUT_MS = 400;

/**
 * Mints one credential: a token of its own on the credential's token role, which ends by itself a margin after the due
 * time; for a leased path, the path is read with that token and the token dropped, so that everything hangs on its accessor.
 * What was made is undone when a later step fails. Throws `ProviderError`.
 */
export async function mintCredential(intent: LeaseIntent, credential: VaultCredential, context: MintContext, signal: AbortSignal): Promise<Minted> {
  const { provider, config } = context;
  const path = credential.kind === 'vault.dynamic' ? pathOf(credential.path, intent, provider) : null;
  const clusterId = await context.session.clusterId(signal);
  const created = await createToken(intent, credential, context, signal);
  const handle: VaultHandle = {
    accessor: created.accessor,
    credential: intent.credential,
    cluster_id: clusterId,
    namespace: config.namespace ?? '',
    lease_id: null,
    mount: null,
    mount_accessor: null,
  };
  if (!created.orphan) {
    const error = new ProviderError(provider, 'refused', `token role ${credential.token_role} must make orphans: its tokens would die with the broker's own`);
    throw await undo(created.accessor, error, context);
  }
  if (path === null) return { secret: { token: created.token }, handle, targetExpiresAtMs: created.endsAtMs };
  try {
    const { leaseId, mount, mountAccessor, fields, leaseSeconds } = await readLeasedPath(path, created.token, context.client, signal);
    const leaseEndsAtMs = addSeconds(context.clock.now(), leaseSeconds);
    return {
      secret: fields,
      handle: { ...handle, lease_id: leaseId, mount, mount_accessor: mountAccessor },
      targetExpiresAtMs: created.endsAtMs < leaseEndsAtMs ? created.endsAtMs : leaseEndsAtMs,
      // Until then the login works at the database if OpenBao cannot reach it, whatever became of the token.
      lapsesAtMs: addSeconds(leaseEndsAtMs, DATABASE_EXPIRY_BUFFER_SECONDS),
    };
  } catch (cause) {
    const mayHaveMinted = mayHaveActed(cause);
    throw await undo(created.accessor, toProviderError(provider, 'reading the leased path', cause, { mayHaveMinted }), context);
  }
}

function pathOf(template: string, intent: LeaseIntent, provider: string): string {
  try {
    return fillPath(template, intent.params);
  } catch (cause) {
    throw new ProviderError(provider, 'refused', cause instanceof RangeError ? cause.message : 'the path cannot be filled', { cause });
  }
}

/**
 * How long the target is told to keep what is due at `dueAtMs`, seconds. Rounded up, and with a margin: the target's
 * clock must come after ours, so that Mayfly's own revocation is what ends it.
 */
export const secondsAtTarget = (dueAtMs: EpochMs, { clock, config }: Pick<MintContext, 'clock' | 'config'>): number =>
  Math.max(1, Math.ceil((dueAtMs - clock.now()) / 1000) + config.target_margin_seconds);

interface CreatedToken {
  readonly token: Secret;
  readonly accessor: string;
  readonly orphan: boolean;
  /** As the target granted it: its token role may have shortened it. */
  readonly endsAtMs: EpochMs;
}

async function createToken(intent: LeaseIntent, credential: VaultCredential, context: MintContext, signal: AbortSignal): Promise<CreatedToken> {
  const { provider, session, config, deploymentId, clock } = context;
  const ttl = secondsAtTarget(intent.dueAtMs, context);
  const longest = credential.renewable === true ? Math.max(ttl, (credential.max_ttl_seconds ?? 0) + config.target_margin_seconds) : ttl;
  try {
    const { auth } = await session.call({
      method: 'POST',
      path: `auth/token/create/${credential.token_role}`,
      body: {
        display_name: intent.id,
        ttl: `${ttl}s`,
        explicit_max_ttl: `${longest}s`,
        // By the broker alone: the credential's policy gives its holder no way to.
        renewable: credential.renewable === true,
        no_default_policy: true,
        num_uses: credential.kind === 'vault.dynamic' ? USES_FOR_ONE_READ : UNLIMITED_USES,
        meta: {
          mayfly_deployment: deploymentId,
          mayfly_lease: intent.id,
          mayfly_task: intent.taskId,
          agent: intent.agent.subject,
          agent_issuer: intent.agent.issuer,
          purpose: intent.purpose,
          credential: intent.credential,
          due_at: toRfc3339(intent.dueAtMs),
        },
      },
      answer: answers.createdToken,
      signal,
    });
    return {
      token: new Secret(auth.client_token),
      accessor: auth.accessor,
      orphan: auth.orphan,
      endsAtMs: addSeconds(clock.now(), auth.lease_duration),
    };
  } catch (cause) {
    throw toProviderError(provider, `minting on token role ${credential.token_role}`, cause, { mayHaveMinted: mayHaveActed(cause) });
  }
}

interface LeasedSecret {
  readonly leaseId: string;
  readonly leaseSeconds: number;
  readonly mount: string;
  readonly mountAccessor: string;
  readonly fields: Readonly<Record<string, Secret>>;
}

async function readLeasedPath(path: string, token: Secret, client: VaultClient, signal: AbortSignal): Promise<LeasedSecret> {
  const [mount, secret] = await Promise.allSettled([
    client.request({ method: 'GET', path: `sys/internal/ui/mounts/${path}`, token, answer: answers.mountOfPath, signal }),
    client.request({ method: 'GET', path, token, answer: answers.leasedSecret, signal }),
  ]);
  if (secret.status === 'rejected') throw secret.reason;
  if (mount.status === 'rejected') throw mount.reason;
  return {
    leaseId: secret.value.lease_id,
    leaseSeconds: secret.value.lease_duration,
    mount: mount.value.data.path.replace(/\/$/, ''),
    mountAccessor: mount.value.data.accessor,
    fields: Object.fromEntries(Object.entries(secret.value.data).map(([name, value]) => [name, new Secret(asText(value))])),
  };
}

const asText = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));

/** Revokes what a failed mint has left, and answers the error to throw. */
async function undo(accessor: string, error: ProviderError, { provider, session }: MintContext): Promise<ProviderError> {
  try {
    // Its own time: the mint's may be used up, and that is often why we are here.
    const signal = AbortSignal.timeout(UNDO_TIMEOUT_MS);
    await session.call({ method: 'POST', path: 'auth/token/revoke-accessor', body: { accessor }, answer: answers.nothing, signal });
    return error;
  } catch (cleanUp) {
    return new ProviderError(provider, error.failure, `${error.message}; undoing it failed too`, {
      mayHaveMinted: true,
      cause: new AggregateError([error, toProviderError(provider, 'undoing a mint', cleanUp)], 'the mint and its clean-up failed'),
    });
  }
}
