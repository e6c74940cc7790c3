import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Problem } from '../../src/core/problem.ts';
import { RequestRate } from '../../src/identity/sign-in/request-rate.ts';
import { ManualClock } from '../support/manual-clock.ts';

const started = (perAddress: number, inAll: number): { readonly rate: RequestRate; readonly clock: ManualClock } => {
  const clock = new ManualClock();
  return { rate: new RequestRate({ perAddress, inAll }, clock), clock };
};
/** Null where it was let in, else when to ask again, in seconds. */
function ask(rate: RequestRate, address: string | undefined): number | null {
  try {
    rate.take(address);
    return null;
  } catch (error) {
    if (!(error instanceof Problem) || error.code !== 'limit_exceeded') throw error;
    return error.retryAfterSeconds ?? NaN;
  }
}
const letIn = (rate: RequestRate, addresses: readonly (string | undefined)[]): number => addresses.filter((address) => ask(rate, address) === null).length;
const times = (count: number, address: string): readonly string[] => Array.from({ length: count }, () => address);
const many = (count: number): readonly string[] => Array.from({ length: count }, (_, at) => `198.51.${Math.floor(at / 256)}.${at % 256}`);

describe('a flood from one address', () => {
  it('is cut, and locks out nobody else', () => {
    const { rate } = started(20, 100);
    expect(letIn(rate, times(10_000, '203.0.113.9'))).toBe(20);
    expect(letIn(rate, times(20, '192.0.2.1'))).toBe(20);
  });

  it('would lock out everybody without an allowance of its own (control)', () => {
    const { rate } = started(100, 100);
    expect(letIn(rate, times(10_000, '203.0.113.9'))).toBe(100);
    expect(letIn(rate, times(20, '192.0.2.1'))).toBe(0);
  });

  it('is told when to come again, and is let in then', () => {
    const { rate, clock } = started(20, 100);
    letIn(rate, times(20, '203.0.113.9'));
    const seconds = ask(rate, '203.0.113.9') ?? 0;
    expect(seconds).toBe(3);
    clock.advance(seconds * 1000);
    expect(ask(rate, '203.0.113.9')).toBeNull();
    expect(ask(rate, '203.0.113.9')).not.toBeNull();
    clock.advance(3_600_000);
    expect(letIn(rate, times(100, '203.0.113.9'))).toBe(20);
  });
});

describe('a flood from many addresses', () => {
  it('is cut, too, but for those from which somebody proved who they are', () => {
    const { rate } = started(20, 100);
    rate.prove('192.0.2.1');
    expect(letIn(rate, many(5_000))).toBe(100);
    expect(letIn(rate, times(20, '192.0.2.1'))).toBe(20);
    // Nobody proved anything from there (control).
    expect(letIn(rate, ['192.0.2.2'])).toBe(0);
  });

  it('cannot grow what is remembered: the bound of all holds where addresses are forgotten', () => {
    const { rate } = started(1, 1_000_000);
    expect(ask(rate, '203.0.113.9')).toBeNull();
    expect(ask(rate, '203.0.113.9')).not.toBeNull();
    expect(letIn(rate, many(10_000))).toBe(10_000);
    // Forgotten, so it starts anew.
    expect(ask(rate, '203.0.113.9')).toBeNull();
  });
});

it.each([
  ['addresses of one IPv6 /64', ['2001:db8::1', '2001:db8::ffff:0:1', '2001:db8:0:0:1::'], 1],
  ['those of two', ['2001:db8::1', '2001:db8:0:1::1'], 2],
  ['IPv4 as it is and inside of IPv6', ['192.0.2.1', '::ffff:192.0.2.1'], 1],
  ['a zone', ['fe80::1%eth0', 'fe80::1%eth1'], 1],
  ['what is no address, and none at all', ['unknown', 'x'.repeat(10_000), '192.0.2.1:80', undefined], 1],
])('counts %s together: %j', (_what, addresses, expected) => {
  expect(letIn(started(1, 100).rate, addresses)).toBe(expected);
});

it('never lets in more of one address than its allowance at once, and its allowance a minute after that', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 50 }), fc.array(fc.nat({ max: 20_000 }), { maxLength: 300 }), (perAddress, waits) => {
      const { rate, clock } = started(perAddress, 1_000_000);
      let admitted = 0;
      for (const wait of waits) {
        clock.advance(wait);
        if (ask(rate, '203.0.113.9') === null) admitted += 1;
      }
      return admitted <= perAddress + Math.ceil((perAddress * clock.monotonicMs()) / 60_000);
    }),
  );
});
