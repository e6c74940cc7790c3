import { SHARDS, type LeaseId } from '../core/ids.ts';
import type { EpochMs } from '../core/time.ts';
import { isFinal, type Lease } from '../ledger/lease.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Orphanhood } from '../ledger/reconciliation-records.ts';
import { TamperedRecord } from '../ledger/record-seal.ts';
import type { CredentialProvider, LiveCredential } from '../providers/credential-provider.ts';

/** A live credential that no record accounts for. */
export interface Orphan {
  readonly live: LiveCredential;
  readonly why: Orphanhood;
}

/** How a target and the ledger differ. */
export interface Comparison {
  /** Found alive under our deployment id. */
  readonly live: number;
  /** To be revoked. */
  readonly orphans: readonly Orphan[];
  /** In a hold, and before their time: an admin has to say. */
  readonly waiting: readonly LiveCredential[];
  /** Recorded as live and not found. */
  readonly missing: readonly Lease[];
  /** Recorded as revoked, and no longer kept out by their target. */
  readonly undone: readonly Lease[];
  /** What kept the listing from its end; then nothing counts as missing. */
  readonly brokeOff: { readonly error: unknown } | undefined;
}

export interface CompareDeps {
  readonly ledger: Pick<Ledger, 'getLease' | 'getLeases' | 'liveIn' | 'keptOut' | 'currentHold'>;
  /** Younger than this, a credential or its record may still be on its way, ms. */
  readonly orphanAgeMs: number;
  readonly startedAtMs: EpochMs;
}

/** Leases read together. */
const LEASES_AT_ONCE = 500;

/** Compares what is live at a target under our deployment id with the ledger. Changes nothing. */
export async function compareProvider(provider: CredentialProvider, deps: CompareDeps, signal: AbortSignal): Promise<Comparison> {
  const seen = new Set<LeaseId>();
  const unaccounted: Orphan[] = [];
  const isYoung = ({ live }: Orphan): boolean => deps.startedAtMs - live.createdAtMs < deps.orphanAgeMs;
  let brokeOff: Comparison['brokeOff'];
  try {
    for await (const live of provider.list?.(signal) ?? []) {
      seen.add(live.leaseId);
      const why = await orphanhood(live, deps);
      if (why !== null) unaccounted.push({ live, why });
    }
  } catch (error) {
    // What was found before counts all the same; the rest is for the next round.
    brokeOff = { error };
  }
  const missing = brokeOff !== undefined || provider.list === undefined ? [] : await missingAt(provider, seen, deps);
  const undone = await undoneAt(provider, deps, signal);
  // Asked last: a ledger that lost records meanwhile has answered for none of these.
  const held = (await deps.ledger.currentHold()) !== null;
  const waits = ({ live, why }: Orphan): boolean => held && why === 'no_record' && (live.dueAtMs === null || deps.startedAtMs < live.dueAtMs);
  return { live: seen.size, orphans: unaccounted.filter((one) => !waits(one) && !isYoung(one)), waiting: unaccounted.filter(waits).map(({ live }) => live), missing, undone, brokeOff };
}

async function orphanhood(live: LiveCredential, { ledger, startedAtMs }: CompareDeps): Promise<Orphanhood | null> {
  let lease: Lease | null;
  try {
    lease = await ledger.getLease(live.leaseId);
  } catch (error) {
    if (error instanceof TamperedRecord) return 'record_tampered';
    throw error;
  }
  if (lease === null) return 'no_record';
  // Ended while we were listing: nothing is wrong.
  const endedBefore = isFinal(lease.state) && (lease.finalAtMs ?? 0) < startedAtMs;
  return endedBefore && lease.state !== 'disclosed' ? 'recorded_as_ended' : null;
}

/** Leases that were active before the listing began and still are, and that it did not find. */
async function missingAt(provider: CredentialProvider, seen: ReadonlySet<LeaseId>, { ledger, orphanAgeMs, startedAtMs }: CompareDeps): Promise<readonly Lease[]> {
  const unseen: LeaseId[] = [];
  for (const shard of SHARDS) unseen.push(...(await ledger.liveIn(shard)).leases.filter((id) => !seen.has(id)));
  const missing: Lease[] = [];
  for (let from = 0; from < unseen.length; from += LEASES_AT_ONCE) {
    const leases = await ledger.getLeases(unseen.slice(from, from + LEASES_AT_ONCE));
    missing.push(...leases.filter((lease) => lease !== null).filter((lease) => shouldBeThere(lease)));
  }
  return missing;

  function shouldBeThere({ provider: name, state, createdAtMs, dueAtMs, credential }: Lease): boolean {
    return name === provider.name && state === 'active' && startedAtMs - createdAtMs >= orphanAgeMs && startedAtMs < dueAtMs && canBeListed(provider, credential);
  }
}

/** Revoked leases, with time left, whose revocation somebody undid. */
async function undoneAt(provider: CredentialProvider, { ledger, startedAtMs }: CompareDeps, signal: AbortSignal): Promise<readonly Lease[]> {
  if (provider.undone === undefined) return [];
  const leases = (await ledger.keptOut(startedAtMs)).filter((lease) => lease.provider === provider.name);
  if (leases.length === 0) return [];
  const ids = new Set(await provider.undone(leases.map((lease) => ({ intent: lease, handle: lease.handle })), signal));
  return leases.filter(({ id }) => ids.has(id));
}

/** A credential that was taken out of the configuration has no capabilities any more. */
function canBeListed(provider: CredentialProvider, credential: string): boolean {
  try {
    return provider.capabilities(credential).canList;
  } catch {
    return false;
  }
}
