import type { CredentialConfig, VaultCredentialConfig, VaultProviderConfig } from '../../config/config-schema.ts';
import type { Clock } from '../../core/clock.ts';
import type { LeaseIntent } from '../../ledger/lease.ts';
import {
  ProviderError,
  type Capabilities,
  type CredentialProvider,
  type LiveCredential,
  type Minted,
  type Renewed,
  type RenewalOrder,
  type RevocationOrder,
  type RevocationResult,
} from '../credential-provider.ts';
import { ownCredential, ownCredentials } from '../own-credentials.ts';
import { revokeToken, settle } from './end-at-target.ts';
import { inParallel } from './in-parallel.ts';
import { liveTokens } from './list-live.ts';
import { isRenewable, mintCredential } from './mint-credential.ts';
import { renewCredential } from './renew-credential.ts';
import { revokeCredentials } from './revoke-credentials.ts';
import * as answers from './vault-answers.ts';
import { VaultClient } from './vault-client.ts';
import { toProviderError } from './vault-failure.ts';
import { parseHandle, type VaultHandle } from './vault-handle.ts';
import { HEALTH_PATH, LOOKUP_SELF_PATH, VaultLogin, type JwtSvidSource, type VaultSession } from './vault-login.ts';

export interface VaultProviderOptions {
  readonly name: string;
  readonly config: VaultProviderConfig;
  /** The credentials of this provider, by name. */
  readonly credentials: Readonly<Record<string, CredentialConfig>>;
  readonly deploymentId: string;
  readonly clock: Clock;
  /** What this process does: it logs in for nothing else. */
  readonly rights: { readonly mint: boolean; readonly revoke: boolean; readonly list: boolean };
  readonly logger?: { warn(fields: object, message: string): void };
  /** A JWT-SVID of the broker itself, for the login method that wants one. */
  readonly jwtSvid?: JwtSvidSource | undefined;
}

/** A running Vault or OpenBao provider: it logs in at once, in the background. Throws `RangeError` for a credential that is not of Vault. */
export function createVaultProvider({ name, config, credentials, deploymentId, clock, rights, logger, jwtSvid }: VaultProviderOptions): VaultProvider {
  const client = new VaultClient({ address: config.address, namespace: config.namespace, caFile: config.ca_file, timeoutMs: config.timeout_ms });
  const logIn = (right: keyof VaultProviderConfig['login']): VaultLogin =>
    new VaultLogin({ provider: name, right, config: config.login[right], client, clock, jwtSvid, ...(logger === undefined ? {} : { log: logger }) });
  const sessions = {
    ...(rights.mint ? { mint: logIn('api') } : {}),
    ...(rights.revoke ? { revoke: logIn('worker') } : {}),
    ...(rights.list ? { list: logIn('reconciler') } : {}),
  };
  return new VaultProvider({ name, config, credentials: ownCredentials(name, credentials, (credential) => 'token_role' in credential), deploymentId, clock, client, sessions });
}

export interface VaultProviderDeps {
  readonly name: string;
  readonly config: VaultProviderConfig;
  readonly credentials: ReadonlyMap<string, VaultCredentialConfig>;
  readonly deploymentId: string;
  readonly clock: Clock;
  readonly client: VaultClient;
  /** One login for each right, where this process has it. */
  readonly sessions: { readonly mint?: VaultSession; readonly revoke?: VaultSession; readonly list?: VaultSession };
}

/** Vault or OpenBao: kinds `vault.token`, `vault.dynamic` and `vault.kv`. */
export class VaultProvider implements CredentialProvider {
  readonly name: string;
  readonly #deps: VaultProviderDeps;

  constructor(deps: VaultProviderDeps) {
    this.name = deps.name;
    this.#deps = deps;
  }

  capabilities(credential: string): Capabilities {
    const config = this.#credential(credential);
    return {
      kind: config.kind,
      // Of a static secret: what was opened, only a rotation ends.
      revocability: config.kind === 'vault.kv' ? 'none' : 'exact',
      minTtlSeconds: 1,
      // Vault judges each request of a token afresh; of a database only its revocation statements know.
      endsOpenSessions: config.kind === 'vault.token' || (config.kind === 'vault.dynamic' && config.ends_open_sessions),
      propagationSeconds: 0,
      renewable: isRenewable(config),
      canList: true,
    };
  }

  async mint(intent: LeaseIntent, signal: AbortSignal): Promise<Minted> {
    const { name: provider, client, config, deploymentId, clock } = this.#deps;
    const session = this.#session('mint');
    return mintCredential(intent, this.#credential(intent.credential), { provider, client, session, config, deploymentId, clock }, signal);
  }

  async renew(order: RenewalOrder, signal: AbortSignal): Promise<Renewed | null> {
    const credential = this.#credential(order.intent.credential);
    if (!isRenewable(credential)) return null;
    const { name: provider, config, clock } = this.#deps;
    return renewCredential(order, { provider, session: this.#session('mint'), config, clock }, signal);
  }

  async *revokeMany(orders: readonly RevocationOrder[], signal: AbortSignal): AsyncGenerator<RevocationResult, void, undefined> {
    const { name: provider, client, config, credentials, deploymentId, clock, sessions } = this.#deps;
    const session = sessions.revoke;
    if (session === undefined) {
      yield* this.#undoMints(orders, signal);
      return;
    }
    const context = {
      ...{ provider, client, session, credentials, deploymentId, clock },
      targetMarginSeconds: config.target_margin_seconds,
      listSession: sessions.list,
      namespace: config.namespace ?? '',
      concurrency: config.revoke_concurrency,
    };
    yield* revokeCredentials(orders, context, signal);
  }

  /** What a process that only mints can do: end the token of what it holds. That it is gone, a worker has to confirm. */
  async *#undoMints(orders: readonly RevocationOrder[], signal: AbortSignal): AsyncGenerator<RevocationResult, void, undefined> {
    const { name, config, sessions } = this.#deps;
    yield* inParallel(orders, config.revoke_concurrency, ({ intent, handle }) =>
      settle(intent.id, name, async () => {
        const ours = handle === null ? undefined : parseHandle(handle);
        if (sessions.mint === undefined || ours === undefined) throw this.#lacksRight('revoke');
        // A wrap that is gone says no more whether it was opened: it is left to a worker, which looks first.
        if (ours.wrap_accessor !== null) throw new ProviderError(name, 'unavailable', 'a worker has to end its wrap');
        await revokeToken(ours.accessor, sessions.mint, signal);
        throw new ProviderError(name, 'unavailable', 'its token was revoked; a worker has to confirm that nothing is left of it');
      }),
    );
  }

  async *list(signal: AbortSignal): AsyncGenerator<LiveCredential, void, undefined> {
    const { name, config, deploymentId } = this.#deps;
    const session = this.#session('list');
    try {
      const clusterId = await session.clusterId(signal);
      for await (const token of liveTokens(session, { deploymentId, targetMarginSeconds: config.target_margin_seconds, concurrency: config.revoke_concurrency }, signal)) {
        const handle: VaultHandle = {
          accessor: token.accessor,
          credential: token.credential,
          cluster_id: clusterId,
          namespace: config.namespace ?? '',
          lease_id: null,
          mount: null,
          mount_accessor: null,
          wrap_accessor: token.wrapAccessor,
        };
        yield { leaseId: token.leaseId, handle, createdAtMs: token.createdAtMs, dueAtMs: token.dueAtMs };
      }
    } catch (cause) {
      throw toProviderError(name, 'listing what is live', cause);
    }
  }

  async checkHealth(signal: AbortSignal): Promise<void> {
    const { name, client, sessions } = this.#deps;
    try {
      await client.request({ method: 'GET', path: HEALTH_PATH, answer: answers.health, signal });
      await Promise.all(loggedIn(sessions).map((session) => session.call({ method: 'GET', path: LOOKUP_SELF_PATH, answer: answers.ownToken, signal })));
    } catch (cause) {
      throw toProviderError(name, 'checking its health', cause);
    }
  }

  async close(): Promise<void> {
    for (const session of loggedIn(this.#deps.sessions)) session.close();
    await this.#deps.client.close();
  }

  #credential(name: string): VaultCredentialConfig {
    return ownCredential(this.name, this.#deps.credentials, name);
  }

  #session(right: 'mint' | 'list'): VaultSession {
    const session = this.#deps.sessions[right];
    if (session === undefined) throw this.#lacksRight(right);
    return session;
  }

  #lacksRight(right: string): ProviderError {
    return new ProviderError(this.name, 'refused', `this process has no right to ${right} here`);
  }
}

const loggedIn = ({ mint, revoke, list }: VaultProviderDeps['sessions']): VaultSession[] => [mint, revoke, list].filter((session) => session !== undefined);
