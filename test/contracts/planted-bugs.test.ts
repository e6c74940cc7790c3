import { describe, expect, it } from '@jest/globals';
import { Secret } from '../../src/core/secret.ts';
import { addMs } from '../../src/core/time.ts';
import type { LeaseIntent } from '../../src/ledger/lease.ts';
import { ProviderError, type CredentialProvider, type LiveCredential, type Minted, type RevocationOrder, type RevocationResult } from '../../src/providers/credential-provider.ts';
import { MemoryProvider } from '../support/memory-provider.ts';
import { CONTRACT, type ProviderHarness } from './provider-contract.ts';

const CREDENTIAL = 'orders-db';

/** A provider that keeps every promise. */
class SoundProvider extends MemoryProvider {
  override capabilities(credential = CREDENTIAL): ReturnType<MemoryProvider['capabilities']> {
    if (credential !== CREDENTIAL) throw new RangeError(`there is no credential ${credential} here`);
    return super.capabilities();
  }
}

const SHORT = { patienceMs: 200 };

function harnessOf(provider: CredentialProvider, live: SoundProvider['live']): ProviderHarness {
  const works = ({ secret }: Minted): Promise<boolean> => Promise.resolve([...live.keys()].some((id) => secret['token']?.expose().endsWith(id) === true));
  return { provider, credential: CREDENTIAL, works, stop: () => Promise.resolve(), ...SHORT };
}

type Plant = (sound: SoundProvider) => Partial<CredentialProvider>;

/** Breaks one promise of a provider, and leaves the rest of it as it is. */
function broken(plant: Plant): ProviderHarness {
  const sound = new SoundProvider();
  const provider: CredentialProvider = {
    name: sound.name,
    capabilities: (credential) => sound.capabilities(credential),
    mint: (intent) => sound.mint(intent),
    revokeMany: (orders) => sound.revokeMany(orders),
    list: () => sound.list(),
    checkHealth: () => sound.checkHealth(),
    close: () => sound.close(),
    ...plant(sound),
  };
  return harnessOf(provider, sound.live);
}

/** What is minted, changed. */
const minting =
  (change: (minted: Minted, intent: LeaseIntent, sound: SoundProvider) => Minted): Plant =>
  (sound) => ({ mint: async (intent) => change(await sound.mint(intent), intent, sound) });

/** What a revocation answers, changed one by one; `null`: not answered. */
const answering =
  (change: (result: RevocationResult, order: number) => RevocationResult | null): Plant =>
  (sound) => ({
    async *revokeMany(orders) {
      let order = 0;
      for await (const result of sound.revokeMany(orders)) {
        const changed = change(result, order);
        order += 1;
        if (changed !== null) yield changed;
      }
    },
  });

/** What a revocation is asked for, changed before it happens. */
const asking =
  (change: (orders: readonly RevocationOrder[], sound: SoundProvider) => readonly RevocationOrder[]): Plant =>
  (sound) => ({ revokeMany: (orders) => sound.revokeMany(change(orders, sound)) });

const listing =
  (change: (live: LiveCredential) => LiveCredential | null): Plant =>
  (sound) => ({
    async *list() {
      for await (const live of sound.list()) {
        const changed = change(live);
        if (changed !== null) yield changed;
      }
    },
  });

const failed = (leaseId: LeaseIntent['id']): RevocationResult => ({ leaseId, outcome: 'failed', error: new ProviderError('vault-main', 'unavailable', 'planted') });

/** Says that it ended all, and ends only what `really` picks. */
const pretending = (really: (order: RevocationOrder) => boolean): Plant => (sound) => ({
  async *revokeMany(orders) {
    for await (const result of sound.revokeMany(orders.filter(really))) yield result;
    for (const { intent } of orders.filter((order) => !really(order))) yield { leaseId: intent.id, outcome: 'revoked' };
  },
});

/** By promise: each bug that breaks it. */
const BUGS: Readonly<Record<string, Readonly<Record<string, Plant>>>> = {
  'mints what works at the target, for at least as long as asked': {
    'what is handed over does not work': minting((minted) => ({ ...minted, secret: { token: new Secret('of nobody') } })),
    'it lives shorter than asked': minting((minted, { dueAtMs }) => ({ ...minted, targetExpiresAtMs: addMs(dueAtMs, -1_000) })),
  },
  'mints what the target ends by itself, soon after it is due': {
    'it lives for days': minting((minted, { dueAtMs }) => ({ ...minted, targetExpiresAtMs: addMs(dueAtMs, 86_400_000) })),
    'it is called lapsed while it lives': minting((minted, { dueAtMs }) => ({ ...minted, lapsesAtMs: addMs(dueAtMs, -1_000) })),
  },
  'mints a credential of its own for each lease': {
    'all leases share one': minting((minted, _intent, sound) => ({ ...minted, secret: { token: new Secret([...sound.live.keys()][0] ?? '') } })),
  },
  'keeps nothing secret in the handle, and prints no secret': {
    'the handle holds the secret': minting((minted) => ({ ...minted, handle: { token: minted.secret['token']?.expose() ?? '' } })),
    'the secret is a plain text that prints': minting((minted) => ({ ...minted, secret: { token: { expose: () => minted.secret['token']?.expose() ?? '', text: minted.secret['token']?.expose() } as unknown as Secret } })),
  },
  'ends what it says it ended, and says of the rest when it lapses': {
    'it says so and does nothing': pretending(() => false),
    'it leaves to lapse what it could end': answering(({ leaseId }) => ({ leaseId, outcome: 'lapses', atMs: addMs(0 as Parameters<typeof addMs>[0], 1) })),
    'it answers for another lease': answering((result) => ({ ...result, leaseId: `lse_${'0'.repeat(32)}` as LeaseIntent['id'] })),
  },
  'ends nothing but what it was told to end': {
    'it ends all that the agent holds': (sound) => ({
      async *revokeMany(orders) {
        sound.live.clear();
        yield* sound.revokeMany(orders);
      },
    }),
  },
  'ends the same credential twice as it ends it once': {
    'the second time is a failure': (sound) => ({
      async *revokeMany(orders) {
        for (const order of orders) {
          if (sound.live.has(order.intent.id)) yield* sound.revokeMany([order]);
          else yield failed(order.intent.id);
        }
      },
    }),
  },
  'ends what was never minted': {
    'the missing is a failure': (sound) => ({
      async *revokeMany(orders) {
        for (const order of orders) {
          if (order.handle === null) yield failed(order.intent.id);
          else yield* sound.revokeMany([order]);
        }
      },
    }),
    'it answers nothing': asking((orders) => orders.filter(({ handle }) => handle !== null)),
  },
  'ends by its lease alone what was minted and never confirmed': {
    'without a handle it looks for nothing': pretending(({ handle }) => handle !== null),
  },
  'ends many in one call, with one result for each': {
    'the last is forgotten': answering((result, order) => (order === 11 ? null : result)),
    'one failure fails all that follow': answering((result, order) => (order > 3 ? failed(result.leaseId) : result)),
    'one is answered twice': (sound) => ({
      async *revokeMany(orders) {
        for await (const result of sound.revokeMany(orders)) {
          yield result;
          if (orders.length > 1 && result.leaseId === orders[0]?.intent.id) yield result;
        }
      },
    }),
  },
  'lists exactly what is live, and since when and until when, where it can list': {
    'the live are not listed': listing(() => null),
    'the dead are listed': (sound) => {
      const everMinted: LiveCredential[] = [];
      return {
        async mint(intent) {
          const minted = await sound.mint(intent);
          everMinted.push(...sound.live.values());
          return minted;
        },
        async *list() {
          await Promise.resolve();
          yield* new Map(everMinted.map((live) => [live.leaseId, live])).values();
        },
      };
    },
    'it is listed as older than it is': listing((live) => ({ ...live, createdAtMs: addMs(live.createdAtMs, -3_600_000) })),
    'its end is not told': listing((live) => ({ ...live, dueAtMs: null })),
    'it says that it can list and cannot': () => ({ list: undefined as unknown as () => AsyncIterable<LiveCredential> }),
  },
  'lists what it can end by the handle it lists': {
    'the listed handle leads nowhere': (sound) => {
      const nowhere = { accessor: 'nowhere' };
      return {
        ...listing((live) => ({ ...live, handle: nowhere }))(sound),
        ...pretending(({ handle }) => handle === null || !('accessor' in handle) || handle['accessor'] !== nowhere.accessor)(sound),
      };
    },
  },
  'knows its own credentials only': {
    'it takes any name': (sound) => ({ capabilities: () => sound.capabilities() }),
  },
};

const check = (promise: string, harness: ProviderHarness): Promise<void> => CONTRACT.find((point) => point.promise === promise)?.check(harness) ?? Promise.resolve();

describe('the contract of a provider', () => {
  it('has a planted bug for each of its points', () => {
    expect(Object.keys(BUGS)).toEqual(CONTRACT.map(({ promise }) => promise));
  });

  it.each(CONTRACT.map(({ promise }) => promise))('is kept by a sound provider: %s (control)', async (promise) => {
    await expect(check(promise, broken(() => ({})))).resolves.toBeUndefined();
  });

  const cases = Object.entries(BUGS).flatMap(([promise, bugs]) => Object.entries(bugs).map(([bug, plant]) => [promise, bug, plant] as const));

  it.each(cases)('%s: broken where %s', async (promise, _bug, plant) => {
    await expect(check(promise, broken(plant))).rejects.toThrow();
  });
});
