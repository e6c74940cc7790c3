import { epochMsFrom } from '../../src/core/time.ts';
import { Secret } from '../../src/core/secret.ts';
import type { LeaseIntent, Revocability } from '../../src/ledger/lease.ts';
import {
  ProviderError,
  type Capabilities,
  type CredentialProvider,
  type LiveCredential,
  type Minted,
  type RevocationOrder,
  type RevocationResult,
} from '../../src/providers/credential-provider.ts';

/** A target in memory that really keeps credentials, and can be told to fail. A third adapter of the port, for tests of what uses it. */
export class MemoryProvider implements CredentialProvider {
  readonly name: string;
  readonly live = new Map<string, LiveCredential>();
  readonly revocability: Revocability;
  /** Set to make the target unreachable, or to make it refuse. */
  failure: 'unavailable' | 'refused' | undefined;
  /** Set to make a mint happen at the target although the caller hears of a failure. */
  losesAnswers = false;
  /** Set to make a listing fail after what it found. */
  listBreaksOff = false;
  /** Leases whose secret was opened: their end is that they are disclosed. */
  readonly opened = new Set<string>();
  /** Awaited inside each mint, after the credential exists. */
  afterMint: () => Promise<void> = () => Promise.resolve();
  revocations = 0;

  constructor(name = 'vault-main', revocability: Revocability = 'exact') {
    this.name = name;
    this.revocability = revocability;
  }

  capabilities(): Capabilities {
    return { kind: 'vault.token', revocability: this.revocability, minTtlSeconds: 1, endsOpenSessions: true, propagationSeconds: 0, renewable: false, canList: true };
  }

  async mint(intent: LeaseIntent): Promise<Minted> {
    if (this.failure !== undefined) throw new ProviderError(this.name, this.failure, 'the target does not answer');
    const handle = { accessor: `acc-${intent.id}` };
    this.live.set(intent.id, { leaseId: intent.id, handle, createdAtMs: intent.createdAtMs, dueAtMs: intent.dueAtMs });
    await this.afterMint();
    if (this.losesAnswers) throw new ProviderError(this.name, 'unavailable', 'the answer was lost', { mayHaveMinted: true });
    return { secret: { token: new Secret(`secret-of-${intent.id}`) }, handle, targetExpiresAtMs: epochMsFrom(intent.dueAtMs + 5_000) };
  }

  async *revokeMany(orders: readonly RevocationOrder[]): AsyncIterable<RevocationResult> {
    for (const { intent } of orders) {
      this.revocations += 1;
      await Promise.resolve();
      if (this.failure !== undefined) {
        yield { leaseId: intent.id, outcome: 'failed', error: new ProviderError(this.name, this.failure, 'the target does not answer') };
      } else if (this.opened.has(intent.id)) {
        this.live.delete(intent.id);
        yield { leaseId: intent.id, outcome: 'disclosed' };
      } else if (this.revocability === 'none') {
        yield { leaseId: intent.id, outcome: 'lapses', atMs: epochMsFrom(intent.dueAtMs + 5_000) };
      } else {
        this.live.delete(intent.id);
        yield { leaseId: intent.id, outcome: 'revoked' };
      }
    }
  }

  async *list(): AsyncIterable<LiveCredential> {
    await Promise.resolve();
    yield* this.live.values();
    if (this.listBreaksOff) throw new ProviderError(this.name, 'unavailable', 'the listing broke off');
  }

  async checkHealth(): Promise<void> {
    await Promise.resolve();
    if (this.failure !== undefined) throw new ProviderError(this.name, this.failure, 'the target does not answer');
  }

  async close(): Promise<void> {
    await Promise.resolve();
  }
}
