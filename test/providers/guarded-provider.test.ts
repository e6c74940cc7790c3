import { describe, expect, it } from '@jest/globals';
import type { CredentialProvider } from '../../src/providers/credential-provider.ts';
import { guardProvider } from '../../src/providers/guarded-provider.ts';
import { intentFor, revoke } from '../contracts/provider-contract.ts';
import { MemoryProvider } from '../support/memory-provider.ts';
import { until } from '../support/until.ts';

const NEVER = new AbortController().signal;
const SETTINGS = { maxInFlight: 2, mintTimeoutMs: 5_000 };

const mint = (provider: CredentialProvider, signal = NEVER) => provider.mint(intentFor({ provider, credential: 'any' }), signal);

describe('a guarded provider', () => {
  it('answers at once, and asks the target nothing, once it has failed several times in a row', async () => {
    const target = new MemoryProvider();
    const guarded = guardProvider(target, SETTINGS);
    target.failure = 'unavailable';
    for (let failure = 0; failure < 3; failure += 1) await expect(mint(guarded)).rejects.toMatchObject({ message: 'the target does not answer' });
    // The target is back, and is not even asked; control: unguarded, it would mint.
    target.failure = undefined;
    await expect(mint(guarded)).rejects.toMatchObject({ provider: 'vault-main', failure: 'unavailable', mayHaveMinted: false, message: expect.stringContaining('several times') as unknown });
    expect(target.live.size).toBe(0);
    await expect(mint(target)).resolves.toBeDefined();
  });

  it('mints again when one mint let through has found the target back', async () => {
    const target = new MemoryProvider();
    const guarded = guardProvider(target, SETTINGS);
    target.failure = 'unavailable';
    for (let failure = 0; failure < 4; failure += 1) await expect(mint(guarded)).rejects.toThrow();
    target.failure = undefined;
    await until(() => mint(guarded).then(() => true, () => false));
    await expect(mint(guarded)).resolves.toBeDefined();
  });

  it('is not put off by refusals: they say that the target is there', async () => {
    const target = new MemoryProvider();
    const guarded = guardProvider(target, SETTINGS);
    target.failure = 'refused';
    for (let refusal = 0; refusal < 6; refusal += 1) await expect(mint(guarded)).rejects.toMatchObject({ failure: 'refused' });
    target.failure = undefined;
    await expect(mint(guarded)).resolves.toBeDefined();
  });

  it('revokes all the same while it mints nothing', async () => {
    const target = new MemoryProvider();
    const guarded = guardProvider(target, SETTINGS);
    const intent = intentFor({ provider: target, credential: 'any' });
    const { handle } = await guarded.mint(intent, NEVER);
    target.failure = 'unavailable';
    for (let failure = 0; failure < 3; failure += 1) await expect(mint(guarded)).rejects.toThrow();
    target.failure = undefined;
    expect(await revoke(guarded, { intent, handle })).toEqual([{ leaseId: intent.id, outcome: 'revoked' }]);
  });

  it('has no more mints under way than allowed', async () => {
    const target = new MemoryProvider();
    const doors: (() => void)[] = [];
    target.afterMint = () => new Promise((resolve) => doors.push(resolve));
    const guarded = guardProvider(target, SETTINGS);
    const mints = Array.from({ length: 5 }, () => mint(guarded));
    const most: number[] = [];
    for (let left = 5; left > 0; left -= 1) {
      await new Promise(setImmediate);
      most.push(doors.length);
      doors.shift()?.();
    }
    await Promise.all(mints);
    expect(Math.max(...most)).toBe(2);
  });

  it('gives up a mint that waits too long for its turn, before anything is sent', async () => {
    const target = new MemoryProvider();
    const door = Promise.withResolvers<undefined>();
    target.afterMint = () => door.promise;
    const guarded = guardProvider(target, { maxInFlight: 1, mintTimeoutMs: 50 });
    const first = mint(guarded);
    await expect(mint(guarded)).rejects.toMatchObject({ failure: 'unavailable', mayHaveMinted: false });
    door.resolve(undefined);
    await first;
    expect(target.live.size).toBe(1);
  });

  it("turns an adapter's own fault into a failure that may have minted", async () => {
    const target = new MemoryProvider();
    target.afterMint = () => Promise.reject(new TypeError('a fault'));
    await expect(mint(guardProvider(target, SETTINGS))).rejects.toMatchObject({ name: 'ProviderError', failure: 'unavailable', mayHaveMinted: true });
  });
});
