import type { CredentialConfig, JwtProviderConfig } from '../../config/config-schema.ts';
import { Secret } from '../../core/secret.ts';
import { fromEpochSeconds, toEpochSeconds } from '../../core/time.ts';
import type { Lease, LeaseIntent } from '../../ledger/lease.ts';
import type { Capabilities, CredentialProvider, Minted, Renewed, RenewalOrder, RevocationOrder, RevocationResult } from '../credential-provider.ts';
import { ownCredential, ownCredentials } from '../own-credentials.ts';
import { newReference, readPresentedToken, referenceDigest, type PresentedToken } from './presented-token.ts';
import { tokenClaims, tokenTypeOf } from './token-claims.ts';
import { transactionClaims } from './transaction-claims.ts';
import { loadSigningKeys, openJws, signJws, type SigningKeys } from '../../keys/signing-keys.ts';

type JwtCredential = Extract<CredentialConfig, { kind: 'jwt' }>;

export interface JwtProviderOptions {
  readonly name: string;
  readonly config: JwtProviderConfig;
  /** The credentials of this provider, by name. */
  readonly credentials: Readonly<Record<string, CredentialConfig>>;
  readonly deploymentId: string;
}

/** A running jwt provider. Throws `TypeError` for a key file that cannot be used, `RangeError` for a credential of another kind. */
export function createJwtProvider({ name, config, credentials, deploymentId }: JwtProviderOptions): JwtProvider {
  const own = ownCredentials(name, credentials, (credential) => credential.kind === 'jwt');
  return new JwtProvider(name, config.issuer, deploymentId, own, loadSigningKeys(config.signing_key_files));
}

/**
 * Tokens signed by Mayfly. Self-contained: verifiers never ask, so it cannot be revoked and lapses at its expiry, a transaction
 * token among them. With `introspection_required`: an opaque reference, good only while the ledger says so, so its revocation is exact.
 */
export class JwtProvider implements CredentialProvider {
  readonly name: string;
  readonly issuer: string;
  readonly #deploymentId: string;
  readonly #credentials: ReadonlyMap<string, JwtCredential>;
  readonly #keys: SigningKeys;

  constructor(name: string, issuer: string, deploymentId: string, credentials: ReadonlyMap<string, JwtCredential>, keys: SigningKeys) {
    this.name = name;
    this.issuer = issuer;
    this.#deploymentId = deploymentId;
    this.#credentials = credentials;
    this.#keys = keys;
  }

  capabilities(credential: string): Capabilities {
    const exact = this.#credential(credential).introspection_required;
    return {
      kind: 'jwt',
      revocability: exact ? 'exact' : 'none',
      minTtlSeconds: 1,
      endsOpenSessions: false,
      propagationSeconds: 0,
      renewable: exact,
      canList: false,
    };
  }

  mint(intent: LeaseIntent): Promise<Minted> {
    return Promise.resolve(this.#mintNow(intent));
  }

  #mintNow(intent: LeaseIntent): Minted {
    const { audience, introspection_required: opaque, transaction_token: forTransaction } = this.#credential(intent.credential);
    if (opaque) {
      const reference = newReference(intent.id);
      return {
        secret: { token: new Secret(reference) },
        handle: { form: 'reference', reference_sha256: referenceDigest(reference) },
        targetExpiresAtMs: intent.dueAtMs,
      };
    }
    const [key] = this.#keys;
    const said = forTransaction ? transactionClaims(intent, this.issuer, audience) : tokenClaims(intent, this.issuer, audience);
    const claims = { ...said, exp: expiryOf(intent), deployment: this.#deploymentId };
    const token = new Secret(signJws(claims, key, forTransaction ? 'txntoken+jwt' : 'at+jwt'));
    return { secret: { token }, handle: { form: forTransaction ? 'txn_token' : 'jwt', kid: key.kid }, targetExpiresAtMs: fromEpochSeconds(expiryOf(intent)) };
  }

  /** A reference lives as long as the ledger says; what a signed token says can no longer be changed. */
  renew({ intent, dueAtMs }: RenewalOrder): Promise<Renewed | null> {
    return Promise.resolve(this.#credential(intent.credential).introspection_required ? { targetExpiresAtMs: dueAtMs } : null);
  }

  /** There is nothing to do at a target: for a reference the ledger's state is the revocation, a JWT lapses. */
  async *revokeMany(orders: readonly RevocationOrder[]): AsyncIterable<RevocationResult> {
    for (const { intent } of orders) {
      yield Promise.resolve<RevocationResult>(
        intent.revocability === 'exact'
          ? { leaseId: intent.id, outcome: 'revoked' }
          : { leaseId: intent.id, outcome: 'lapses', atMs: fromEpochSeconds(expiryOf(intent)) },
      );
    }
  }

  /** Judges a presented token by itself; undefined when this provider did not mint it. */
  read(token: string): PresentedToken | undefined {
    return readPresentedToken(token, this.#keys);
  }

  /** Whether this provider signed it as a transaction token: it proves nothing of who shows it, so it is none of those that `read` knows. */
  isTransactionToken(token: string): boolean {
    return openJws(token, this.#keys, 'txntoken+jwt') !== undefined;
  }

  /** What introspection says of a live lease (RFC 7662 section 2.2). */
  describe(lease: Lease): Readonly<Record<string, unknown>> {
    return {
      active: true,
      ...tokenClaims(lease, this.issuer, this.audienceOf(lease.credential)),
      exp: toEpochSeconds(lease.dueAtMs),
      token_type: tokenTypeOf(lease),
    };
  }

  /** The audience a credential's tokens are for. */
  audienceOf(credential: string): string {
    return this.#credential(credential).audience;
  }

  /** Public keys, for `/.well-known/jwks.json`. */
  jwks(): readonly Readonly<Record<string, string>>[] {
    return this.#keys.map((key) => key.publicJwk);
  }

  checkHealth(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #credential(name: string): JwtCredential {
    return ownCredential(this.name, this.#credentials, name);
  }
}

/** `exp` of a signed token, in whole seconds. Rounded up: it never ends before its lease, and is not called lapsed before it ends. */
const expiryOf = (intent: LeaseIntent): number => Math.ceil(intent.dueAtMs / 1000);
