import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import { LRUCache } from 'lru-cache';
import type { Clock } from '../../core/clock.ts';
import { Problem } from '../../core/problem.ts';
import { Buckets } from './buckets.ts';

/** Requests a minute; as many can come at once. */
export interface Allowance {
  readonly perAddress: number;
  /** Of all addresses together from which nobody has proved who they are. */
  readonly inAll: number;
}

/** So many addresses are remembered, a few MB at most. One that is forgotten starts anew, and is still held to the bound of all. */
const ADDRESSES = 10_000;
const PROVEN = 1_000;
const ALL = 'all';

/**
 * How often strangers may ask this process. Each address has an allowance of its own, so that a flood from one locks out nobody
 * else; all together have another, so that a flood from many is bounded too. In memory: a flood must not reach Redis.
 */
export class RequestRate {
  readonly #addresses: Buckets;
  readonly #all: Buckets;
  readonly #proven = new LRUCache<string, true>({ max: PROVEN });

  constructor({ perAddress, inAll }: Allowance, clock: Pick<Clock, 'monotonicMs'>) {
    this.#addresses = new Buckets({ perMinute: perAddress, keys: ADDRESSES }, clock);
    this.#all = new Buckets({ perMinute: inAll, keys: 1 }, clock);
  }

  /** Counts a request, and refuses one that is too many. Throws `limit_exceeded`, with when to ask again. */
  take(address: string | undefined): void {
    this.check(address);
    this.count(address);
  }

  /** As `take`, without counting it. */
  check(address: string | undefined): void {
    const network = networkOf(address);
    refuse(this.#addresses.waitMs(network), 'too many requests came from this address');
    if (!this.#proven.has(network)) refuse(this.#all.waitMs(ALL), 'too many requests came at once, from many addresses');
  }

  /** Counts a request that was let in. */
  count(address: string | undefined): void {
    const network = networkOf(address);
    this.#addresses.take(network);
    if (!this.#proven.has(network)) this.#all.take(ALL);
  }

  /** Remembers that somebody proved from there who they are: a flood from elsewhere does not lock them out. */
  prove(address: string | undefined): void {
    this.#proven.set(networkOf(address), true);
  }
}

function refuse(waitMs: number, why: string): void {
  if (waitMs > 0) throw new Problem('limit_exceeded', `${why}; wait before you ask again`, { retryAfterSeconds: Math.ceil(waitMs / 1000) });
}

/** Whose allowance an address draws on: in IPv6 that of its /64, all of which one host can use. */
function networkOf(address: string | undefined): string {
  const [plain = ''] = (address ?? '').split('%');
  // What a proxy wrote may be no address: all such share one allowance.
  if (isIP(plain) === 0) return 'unknown';
  const parsed = ipaddr.process(plain);
  return parsed.kind() === 'ipv4' ? parsed.toString() : parsed.toByteArray().slice(0, 8).join('.');
}
