import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { newLeaseIdIn, newTaskId, shardOf, type LeaseId } from '../../src/core/ids.ts';
import { addSeconds, epochMsFrom } from '../../src/core/time.ts';
import type { LeaseIntent } from '../../src/ledger/lease.ts';
import type { CredentialProvider, Minted, RevocationOrder, RevocationResult } from '../../src/providers/credential-provider.ts';
import { until } from '../support/until.ts';

/** What a provider's tests bring to the contract. */
export interface ProviderHarness {
  readonly provider: CredentialProvider;
  readonly credential: string;
  /** Whether a minted credential works at the target now. For what cannot be revoked: whether it is genuine. */
  readonly works: (minted: Minted) => Promise<boolean>;
  /** What is handed over wrapped is revoked while nobody has opened it, and once gone can no longer be told from the opened. */
  readonly ends?: { readonly unopened: true };
  readonly stop: () => Promise<void>;
}

const NEVER = new AbortController().signal;

/** An intent as the ledger records it. */
export function intentFor({ provider, credential }: Pick<ProviderHarness, 'provider' | 'credential'>, ttlSeconds = 60): LeaseIntent {
  const taskId = newTaskId();
  const { kind, revocability } = provider.capabilities(credential);
  const now = epochMsFrom(Date.now());
  return {
    id: newLeaseIdIn(shardOf(taskId)),
    taskId,
    agent: { issuer: 'https://issuer.test', subject: 'agent:refunds' },
    purpose: 'refund-investigation',
    actions: ['read'],
    credential,
    kind,
    provider: provider.name,
    revocability,
    params: {},
    toolCall: null,
    decisionId: 'dec_0',
    createdAtMs: now,
    dueAtMs: addSeconds(now, ttlSeconds),
  };
}

export async function revoke(provider: CredentialProvider, ...orders: readonly RevocationOrder[]): Promise<RevocationResult[]> {
  const results: RevocationResult[] = [];
  for await (const result of provider.revokeMany(orders, AbortSignal.timeout(10_000))) results.push(result);
  return results;
}

/** What every adapter keeps, whatever its target. */
export function describeProviderContract(name: string, start: () => Promise<ProviderHarness>): void {
  describe(`${name} keeps the contract of a provider`, () => {
    let harness: ProviderHarness;

    beforeAll(async () => {
      harness = await start();
    }, 30_000);

    afterAll(() => harness.stop(), 20_000);

    const mint = async (ttlSeconds = 60): Promise<{ intent: LeaseIntent; minted: Minted }> => {
      const intent = intentFor(harness, ttlSeconds);
      return { intent, minted: await harness.provider.mint(intent, NEVER) };
    };
    const exposed = (minted: Minted): string[] => Object.entries(minted.secret).filter(([field]) => field !== 'username').map(([, secret]) => secret.expose());
    const canEnd = (): boolean => harness.provider.capabilities(harness.credential).revocability !== 'none';

    it('mints what works at the target, for at least as long as asked', async () => {
      const { intent, minted } = await mint();
      expect(await harness.works(minted)).toBe(true);
      expect(minted.targetExpiresAtMs).toBeGreaterThanOrEqual(intent.dueAtMs);
      await revoke(harness.provider, { intent, handle: minted.handle });
    });

    it('mints a credential of its own for each lease', async () => {
      const [one, two] = await Promise.all([mint(), mint()]);
      expect(exposed(one.minted)).not.toEqual(exposed(two.minted));
      await revoke(harness.provider, { intent: one.intent, handle: one.minted.handle }, { intent: two.intent, handle: two.minted.handle });
    });

    it('keeps nothing secret in the handle, and prints no secret', async () => {
      const { intent, minted } = await mint();
      const printed = JSON.stringify(minted) + inspect(minted, { depth: 9 });
      for (const secret of exposed(minted)) {
        expect(printed).not.toContain(secret);
        // Control: the search would find it.
        expect(printed + secret).toContain(secret);
      }
      await revoke(harness.provider, { intent, handle: minted.handle });
    });

    it('ends what it says it ended, and says of the rest when it lapses', async () => {
      const { intent, minted } = await mint();
      const [result] = await revoke(harness.provider, { intent, handle: minted.handle });
      if (harness.ends?.unopened === true) {
        expect(result).toMatchObject({ leaseId: intent.id, outcome: 'revoked' });
        expect(await harness.works(minted)).toBe(false);
      } else if (canEnd()) {
        expect(result).toMatchObject({ leaseId: intent.id, outcome: 'revoked' });
      } else {
        expect(result).toMatchObject({ leaseId: intent.id, outcome: 'lapses', atMs: minted.targetExpiresAtMs });
      }
    });

    it('ends the same credential twice as it ends it once', async () => {
      const { intent, minted } = await mint();
      const first = await revoke(harness.provider, { intent, handle: minted.handle });
      const second = await revoke(harness.provider, { intent, handle: minted.handle });
      expect(second).toMatchObject([{ leaseId: intent.id, outcome: harness.ends?.unopened === true ? 'disclosed' : first[0]?.outcome }]);
    });

    it('ends what was never minted', async () => {
      const intent = intentFor(harness);
      const [result] = await revoke(harness.provider, { intent, handle: null });
      expect(result).toMatchObject({ leaseId: intent.id, outcome: canEnd() ? 'revoked' : 'lapses' });
    });

    it('ends many in one call, with a result for each', async () => {
      const all = await Promise.all(Array.from({ length: 12 }, () => mint()));
      const results = await revoke(harness.provider, ...all.map(({ intent, minted }) => ({ intent, handle: minted.handle })));
      expect(new Set(results.map((result) => result.leaseId))).toEqual(new Set(all.map(({ intent }) => intent.id)));
    });

    it('lists exactly what is live, where it can list', async () => {
      if (harness.provider.list === undefined) {
        expect(harness.provider.capabilities(harness.credential).canList).toBe(false);
        return;
      }
      const live = async (): Promise<LeaseId[]> => {
        const found: LeaseId[] = [];
        for await (const one of harness.provider.list?.(AbortSignal.timeout(10_000)) ?? []) found.push(one.leaseId);
        return found.sort();
      };
      const [kept, ended] = await Promise.all([mint(), mint()]);
      await revoke(harness.provider, { intent: ended.intent, handle: ended.minted.handle });
      await until(async () => JSON.stringify(await live()) === JSON.stringify([kept.intent.id]));
      await revoke(harness.provider, { intent: kept.intent, handle: kept.minted.handle });
      expect(await live()).toEqual([]);
    });

    it('knows its own credentials only', () => {
      expect(() => harness.provider.capabilities('nobody-configured-this')).toThrow(RangeError);
    });
  });
}
