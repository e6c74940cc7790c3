import type { VaultCredentialConfig, VaultProviderConfig } from '../../config/config-schema.ts';
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
import { kvPath, readWrapped, type KvCredential, type WrappedSecret } from './wrapped-secret.ts';

/** Whether the broker may make it last longer while its task does. */
export const isRenewable = (credential: VaultCredentialConfig): boolean => credential.kind !== 'vault.kv' && credential.renewable === true;

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
/** A static secret is read by a token that ends with that read. */
const ONE_USE = 1;

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
export async function mintCredential(intent: LeaseIntent, credential: VaultCredentialConfig, context: MintContext, signal: AbortSignal): Promise<Minted> {
  const path = pathOf(credential, intent, context.provider);
  const clusterId = await context.session.clusterId(signal);
  const mint = { intent, credential, path, clusterId, context, signal };
  switch (credential.kind) {
    case 'vault.token':
      return mintToken(mint);
    case 'vault.dynamic':
      return mintLeased(mint);
    case 'vault.kv':
      return mintWrapped(mint, credential);
    default:
      return credential satisfies never;
  }
}

interface Mint {
  readonly intent: LeaseIntent;
  readonly credential: VaultCredentialConfig;
  /** Empty for what is a token only. */
  readonly path: string;
  readonly clusterId: string;
  readonly context: MintContext;
  readonly signal: AbortSignal;
}

const handleOf = ({ intent, clusterId, context }: Mint, accessor: string): VaultHandle => ({
  accessor,
  credential: intent.credential,
  cluster_id: clusterId,
  namespace: context.config.namespace ?? '',
  lease_id: null,
  mount: null,
  mount_accessor: null,
  wrap_accessor: null,
});

async function mintToken(mint: Mint): Promise<Minted> {
  const created = await createToken(mint, { uses: UNLIMITED_USES });
  return { secret: { token: created.token }, handle: handleOf(mint, created.accessor), targetExpiresAtMs: created.endsAtMs };
}

async function mintLeased(mint: Mint): Promise<Minted> {
  const { path, context, signal } = mint;
  const created = await createToken(mint, { uses: USES_FOR_ONE_READ });
  try {
    const { leaseId, mount, mountAccessor, fields, leaseSeconds } = await readLeasedPath(path, created.token, context.client, signal);
    const leaseEndsAtMs = addSeconds(context.clock.now(), leaseSeconds);
    return {
      secret: fields,
      handle: { ...handleOf(mint, created.accessor), lease_id: leaseId, mount, mount_accessor: mountAccessor },
      targetExpiresAtMs: created.endsAtMs < leaseEndsAtMs ? created.endsAtMs : leaseEndsAtMs,
      // Until then the login works at the database if OpenBao cannot reach it, whatever became of the token.
      lapsesAtMs: addSeconds(leaseEndsAtMs, DATABASE_EXPIRY_BUFFER_SECONDS),
    };
  } catch (cause) {
    throw await undo(created.accessor, toProviderError(context.provider, 'reading the leased path', cause, { mayHaveMinted: mayHaveActed(cause) }), context);
  }
}

/**
 * A wrap says of itself neither lease nor deployment, so a second token stands for it in listings and names its accessor.
 * Nothing is handed over before that token stands: a wrap that nobody can find again is one that nobody holds.
 */
async function mintWrapped(mint: Mint, credential: KvCredential): Promise<Minted> {
  const { context } = mint;
  const reader = await createToken(mint, { uses: ONE_USE });
  const wrap = await readForLease(mint, credential, reader);
  try {
    const marker = await createToken(mint, { uses: ONE_USE, wrapAccessor: wrap.accessor });
    return {
      secret: { wrapping_token: wrap.wrappingToken },
      handle: { ...handleOf(mint, marker.accessor), wrap_accessor: wrap.accessor },
      targetExpiresAtMs: wrap.endsAtMs,
      lapsesAtMs: null,
    };
  } catch (cause) {
    const error = toProviderError(context.provider, 'marking the wrapped secret', cause);
    // The token may stand in spite of it. Then a worker finds the wrap by it, and sees that nobody opened it: gone, it could not tell.
    throw error.mayHaveMinted ? error : await undo(wrap.accessor, error, context);
  }
}

async function readForLease(mint: Mint, { token_role: role }: KvCredential, reader: CreatedToken): Promise<WrappedSecret> {
  const { path, context, signal } = mint;
  try {
    const ttlSeconds = secondsAtTarget(mint.intent.dueAtMs, mint.context);
    return await readWrapped(path, { token: reader.token, ttlSeconds, client: context.client, clock: context.clock }, signal);
  } catch (cause) {
    const error = toProviderError(context.provider, `reading the secret of token role ${role}`, cause, { mayHaveMinted: mayHaveActed(cause) });
    throw await undo(reader.accessor, error, context);
  }
}

function pathOf(credential: VaultCredentialConfig, intent: LeaseIntent, provider: string): string {
  try {
    switch (credential.kind) {
      case 'vault.token':
        return '';
      case 'vault.dynamic':
        return fillPath(credential.path, intent.params);
      case 'vault.kv':
        return kvPath(credential, intent.params);
      default:
        return credential satisfies never;
    }
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
  /** As the target granted it: its token role may have shortened it. */
  readonly endsAtMs: EpochMs;
}

async function createToken(mint: Mint, { uses, wrapAccessor }: { readonly uses: number; readonly wrapAccessor?: string }): Promise<CreatedToken> {
  const { intent, credential, context, signal } = mint;
  const { provider, session, config, deploymentId, clock } = context;
  const ttl = secondsAtTarget(intent.dueAtMs, context);
  const renewable = isRenewable(credential);
  const longest = renewable ? Math.max(ttl, (credential.max_ttl_seconds ?? 0) + config.target_margin_seconds) : ttl;
  const create = session.call({
    method: 'POST',
    path: `auth/token/create/${credential.token_role}`,
    body: {
      display_name: intent.id,
      ttl: `${ttl}s`,
      explicit_max_ttl: `${longest}s`,
      // By the broker alone: the credential's policy gives its holder no way to.
      renewable,
      no_default_policy: true,
      num_uses: uses,
      meta: {
        mayfly_deployment: deploymentId,
        mayfly_lease: intent.id,
        mayfly_task: intent.taskId,
        agent: intent.agent.subject,
        agent_issuer: intent.agent.issuer,
        ...chainMetadata(intent),
        purpose: intent.purpose,
        credential: intent.credential,
        due_at: toRfc3339(intent.dueAtMs),
        ...(wrapAccessor === undefined ? {} : { mayfly_wrap: wrapAccessor }),
      },
    },
    answer: answers.createdToken,
    signal,
  });
  const { auth } = await create.catch((cause: unknown) => {
    throw toProviderError(provider, `minting on token role ${credential.token_role}`, cause, { mayHaveMinted: mayHaveActed(cause) });
  });
  if (!auth.orphan) {
    const error = new ProviderError(provider, 'refused', `token role ${credential.token_role} must make orphans: its tokens would die with the broker's own`);
    throw await undo(auth.accessor, error, context);
  }
  return { token: new Secret(auth.client_token), accessor: auth.accessor, endsAtMs: addSeconds(clock.now(), auth.lease_duration) };
}

/** OpenBao takes at most 512 characters for one value. */
const MAX_META = 512;

/** On whose behalf, and through whose hands: root first. A chain that is too long for the target keeps its beginning. */
const chainMetadata = ({ chain, subject }: LeaseIntent): Record<string, string> => ({
  ...(chain.length === 0 ? {} : { chain: chain.map((link) => link.subject).join(' > ').slice(0, MAX_META) }),
  ...(subject === null ? {} : { subject: subject.slice(0, MAX_META) }),
});

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
