import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { newLeaseIdIn, newTaskId, shardOf } from '../../src/core/ids.ts';
import { addSeconds, epochMsFrom } from '../../src/core/time.ts';
import type { LeaseIntent } from '../../src/ledger/lease.ts';
import type { CredentialProvider, LiveCredential, Minted, RevocationOrder, RevocationResult } from '../../src/providers/credential-provider.ts';
import { until } from '../support/until.ts';

/** What a provider's tests bring to the contract. */
export interface ProviderHarness {
  readonly provider: CredentialProvider;
  readonly credential: string;
  /** Whether a minted credential works at the target now. For what cannot be revoked: whether it is genuine. */
  readonly works: (minted: Minted) => Promise<boolean>;
  /** What is handed over wrapped is revoked while nobody has opened it, and once gone can no longer be told from the opened. */
  readonly ends?: { readonly unopened: true };
  /** What is ended is dead by the ledger alone: the target, asked by itself, still takes it for genuine. */
  readonly endsElsewhere?: true;
  /** How long a listing may take to be true, ms. */
  readonly patienceMs?: number;
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
    chain: [],
    subject: null,
    touches: [],
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

/** One promise of the port. `check` rejects where a provider breaks it. */
export interface ContractPoint {
  readonly promise: string;
  readonly check: (harness: ProviderHarness) => Promise<void>;
}

interface MintedFor {
  readonly intent: LeaseIntent;
  readonly minted: Minted;
}

async function mint(harness: ProviderHarness, ttlSeconds = 60): Promise<MintedFor> {
  const intent = intentFor(harness, ttlSeconds);
  return { intent, minted: await harness.provider.mint(intent, NEVER) };
}

const orderOf = ({ intent, minted }: MintedFor): RevocationOrder => ({ intent, handle: minted.handle });
const exposed = (minted: Minted): string[] => Object.entries(minted.secret).filter(([field]) => field !== 'username').map(([, secret]) => secret.expose());
const canEnd = ({ provider, credential }: ProviderHarness): boolean => provider.capabilities(credential).revocability !== 'none';
/** Whether what is ended can be seen to be dead at the target. */
const diesAtTarget = (harness: ProviderHarness): boolean => harness.ends?.unopened === true || (canEnd(harness) && harness.endsElsewhere !== true);

async function listed({ provider }: ProviderHarness): Promise<readonly LiveCredential[]> {
  const found: LiveCredential[] = [];
  for await (const one of provider.list?.(AbortSignal.timeout(10_000)) ?? []) found.push(one);
  return found.sort((a, b) => a.leaseId.localeCompare(b.leaseId));
}

/** What every adapter keeps, whatever its target. `planted-bugs.test.ts` shows that each point can be broken. */
export const CONTRACT: readonly ContractPoint[] = [
  {
    promise: 'mints what works at the target, for at least as long as asked',
    async check(harness) {
      const one = await mint(harness);
      expect(await harness.works(one.minted)).toBe(true);
      expect(one.minted.targetExpiresAtMs).toBeGreaterThanOrEqual(one.intent.dueAtMs);
      await revoke(harness.provider, orderOf(one));
    },
  },
  {
    promise: 'mints what the target ends by itself, soon after it is due',
    async check(harness) {
      const one = await mint(harness);
      expect(one.minted.targetExpiresAtMs - one.intent.dueAtMs).toBeLessThanOrEqual(LONGEST_MARGIN_MS);
      // What is dead before AWS ends it, by a clamp in its policy, lives until it is due all the same.
      expect(one.minted.lapsesAtMs ?? Infinity).toBeGreaterThanOrEqual(one.intent.dueAtMs);
      await revoke(harness.provider, orderOf(one));
    },
  },
  {
    promise: 'mints a credential of its own for each lease',
    async check(harness) {
      const [one, two] = await Promise.all([mint(harness), mint(harness)]);
      expect(exposed(one.minted)).not.toEqual(exposed(two.minted));
      await revoke(harness.provider, orderOf(one), orderOf(two));
    },
  },
  {
    promise: 'keeps nothing secret in the handle, and prints no secret',
    async check(harness) {
      const one = await mint(harness);
      const printed = JSON.stringify(one.minted) + inspect(one.minted, { depth: 9 });
      for (const secret of exposed(one.minted)) {
        expect(printed).not.toContain(secret);
        // Control: the search would find it.
        expect(printed + secret).toContain(secret);
      }
      await revoke(harness.provider, orderOf(one));
    },
  },
  {
    promise: 'ends what it says it ended, and says of the rest when it lapses',
    async check(harness) {
      const one = await mint(harness);
      const results = await revoke(harness.provider, orderOf(one));
      const ended = { leaseId: one.intent.id, outcome: 'revoked' };
      const lapses = { leaseId: one.intent.id, outcome: 'lapses', atMs: one.minted.targetExpiresAtMs };
      expect(results).toMatchObject([harness.ends?.unopened === true || canEnd(harness) ? ended : lapses]);
      if (diesAtTarget(harness)) expect(await harness.works(one.minted)).toBe(false);
    },
  },
  {
    promise: 'ends nothing but what it was told to end',
    async check(harness) {
      const [ended, kept] = await Promise.all([mint(harness), mint(harness)]);
      await revoke(harness.provider, orderOf(ended));
      expect(await harness.works(kept.minted)).toBe(true);
      await revoke(harness.provider, orderOf(kept));
    },
  },
  {
    promise: 'ends the same credential twice as it ends it once',
    async check(harness) {
      const one = await mint(harness);
      const first = await revoke(harness.provider, orderOf(one));
      const second = await revoke(harness.provider, orderOf(one));
      expect(second).toMatchObject([{ leaseId: one.intent.id, outcome: harness.ends?.unopened === true ? 'disclosed' : first[0]?.outcome }]);
    },
  },
  {
    promise: 'ends what was never minted',
    async check(harness) {
      const intent = intentFor(harness);
      const results = await revoke(harness.provider, { intent, handle: null });
      expect(results).toMatchObject([{ leaseId: intent.id, outcome: canEnd(harness) ? 'revoked' : 'lapses' }]);
    },
  },
  {
    promise: 'ends by its lease alone what was minted and never confirmed',
    async check(harness) {
      if (!canEnd(harness)) return;
      const one = await mint(harness);
      expect(await revoke(harness.provider, { intent: one.intent, handle: null })).toMatchObject([{ leaseId: one.intent.id, outcome: 'revoked' }]);
      if (diesAtTarget(harness)) expect(await harness.works(one.minted)).toBe(false);
    },
  },
  {
    promise: 'ends many in one call, with one result for each',
    async check(harness) {
      const all = await Promise.all(Array.from({ length: 12 }, () => mint(harness)));
      const results = await revoke(harness.provider, ...all.map(orderOf));
      expect(results.map(({ leaseId }) => leaseId).sort()).toEqual(all.map(({ intent }) => intent.id).sort());
      for (const { outcome } of results) expect(outcome).not.toBe('failed');
    },
  },
  {
    promise: 'lists exactly what is live, and since when and until when, where it can list',
    async check(harness) {
      if (harness.provider.list === undefined) {
        expect(harness.provider.capabilities(harness.credential).canList).toBe(false);
        return;
      }
      const [kept, ended] = await Promise.all([mint(harness), mint(harness)]);
      await revoke(harness.provider, orderOf(ended));
      await until(async () => JSON.stringify((await listed(harness)).map(({ leaseId }) => leaseId)) === JSON.stringify([kept.intent.id]), { timeoutMs: harness.patienceMs ?? 15_000, what: 'only what is live is listed' });
      const [live] = await listed(harness);
      expect(Math.abs((live?.createdAtMs ?? 0) - kept.intent.createdAtMs)).toBeLessThan(CLOCKS_MS);
      expect(Math.abs((live?.dueAtMs ?? 0) - kept.intent.dueAtMs)).toBeLessThan(CLOCKS_MS);
      await revoke(harness.provider, orderOf(kept));
      expect(await listed(harness)).toEqual([]);
    },
  },
  {
    promise: 'lists what it can end by the handle it lists',
    async check(harness) {
      if (harness.provider.list === undefined) return;
      const one = await mint(harness);
      const [live] = await listed(harness);
      if (live === undefined) throw new Error('nothing is listed');
      expect(await revoke(harness.provider, { intent: one.intent, handle: live.handle })).toMatchObject([{ leaseId: one.intent.id, outcome: 'revoked' }]);
      expect(await harness.works(one.minted)).toBe(false);
    },
  },
  {
    promise: 'knows its own credentials only',
    async check({ provider }) {
      const ask = async (name: string): Promise<unknown> => Promise.resolve(provider.capabilities(name));
      await expect(ask('nobody-configured-this')).rejects.toThrow(RangeError);
    },
  },
];

/** Beyond the due time: the shortest session that AWS sells is longer than most tasks; a token lives a margin longer. */
const LONGEST_MARGIN_MS = 900_000;
/** Targets count in seconds, by a clock of their own. */
const CLOCKS_MS = 3_000;

/** Holds a provider to the contract, at its real target. */
export function describeProviderContract(name: string, start: () => Promise<ProviderHarness>): void {
  describe(`${name} keeps the contract of a provider`, () => {
    let harness: ProviderHarness;

    beforeAll(async () => {
      harness = await start();
    }, 30_000);

    afterAll(() => harness.stop(), 20_000);

    it.each(CONTRACT.map(({ promise, check }) => [promise, check] as const))('%s', (_promise, check) => check(harness));
  });
}
