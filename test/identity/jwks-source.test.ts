import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { JwksSource } from '../../src/identity/jwks-source.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { jwkOf, PAIRS, publishIssuer, STRANGER, type PublishedIssuer } from './published-issuer.ts';

const MINUTE = 60_000;
/** Discovery and keys. */
const ONE_LOAD = 2;
const unavailable = expect.objectContaining({ code: 'identity_unavailable' });

let issuer: PublishedIssuer;
let clock: ManualClock;
let source: JwksSource;
let warned: string[];

beforeEach(async () => {
  issuer = await publishIssuer([await jwkOf(PAIRS.ES256, { kid: 'first' })]);
  clock = new ManualClock();
  warned = [];
  source = sourceOf(issuer.issuer);
});

afterEach(() => issuer.stop());

const sourceOf = (name: string): JwksSource => new JwksSource(name, { fetch: issuer.fetch, clock, log: { warn: (_fields, message) => warned.push(message) } });
const rotateTo = async (kid: string): Promise<void> => {
  issuer.serves.jwks = { keys: [await jwkOf(STRANGER, { kid })] };
};

describe('the keys of an issuer', () => {
  it('are fetched once for everybody who asks at the same time', async () => {
    const keys = await Promise.all(Array.from({ length: 20 }, () => source.keyFor('first', 'ES256')));
    expect(new Set(keys).size).toBe(1);
    expect(issuer.asked).toEqual(['/.well-known/openid-configuration', '/jwks']);
  });

  it('are used for ten minutes without asking, and are the same objects after, where nothing changed', async () => {
    const key = await source.keyFor('first', 'ES256');
    clock.advance(10 * MINUTE - 1);
    await source.keyFor('first', 'ES256');
    expect(issuer.asked).toHaveLength(ONE_LOAD);
    clock.advance(1);
    expect(await source.keyFor('first', 'ES256')).toBe(key);
    expect(issuer.asked).toHaveLength(2 * ONE_LOAD);
  });

  it('OI-3: end ten minutes after they were removed, at the latest', async () => {
    await source.keyFor('first', 'ES256');
    await rotateTo('second');
    expect(await source.keyFor('first', 'ES256')).toBeDefined();
    clock.advance(10 * MINUTE);
    expect(await source.keyFor('first', 'ES256')).toBeUndefined();
  });

  it('OI-3: a new one is found by one more request, which everybody who has it waits for', async () => {
    await source.keyFor('first', 'ES256');
    await rotateTo('second');
    clock.advance(30_000);
    const keys = await Promise.all(Array.from({ length: 20 }, () => source.keyFor('second', 'ES256')));
    expect(keys.every((key) => key !== undefined && key === keys[0])).toBe(true);
    expect(issuer.asked).toHaveLength(2 * ONE_LOAD);
    expect(await source.keyFor('first', 'ES256')).toBeUndefined();
  });

  it('OI-3: a flood of made-up ids costs one request in half a minute', async () => {
    await source.keyFor('first', 'ES256');
    for (let second = 0; second < 90; second += 1) {
      clock.advance(1_000);
      expect(await source.keyFor(`made-up ${second}`, 'ES256')).toBeUndefined();
    }
    expect(issuer.asked).toHaveLength(ONE_LOAD + 3 * ONE_LOAD);
    expect(await source.keyFor('first', 'ES256')).toBeDefined();
  });

  it('OI-1: are not taken from a document that names another issuer, be it by a slash', async () => {
    await expect(sourceOf(`${issuer.issuer}/`).keyFor('first', 'ES256')).rejects.toEqual(unavailable);
    issuer.serves.discovery = { issuer: `${issuer.issuer}/`, jwks_uri: `${issuer.issuer}/jwks` };
    await expect(source.keyFor('first', 'ES256')).rejects.toEqual(unavailable);
    expect(await sourceOf(`${issuer.issuer}/`).keyFor('first', 'ES256')).toBeDefined();
  });

  it.each([
    ['on a host that is not configured', 'https://evil.test/jwks'],
    ['in a file', 'file:///etc/passwd'],
    ['at a metadata address', 'http://169.254.169.254/jwks'],
  ])('OI-2: are not fetched %s', async (_name, jwks_uri) => {
    issuer.serves.discovery = { issuer: issuer.issuer, jwks_uri };
    await expect(source.keyFor('first', 'ES256')).rejects.toMatchObject({ code: 'identity_unavailable', cause: expect.objectContaining({ name: 'OutboundRefused' }) });
  });

  it('of another use are passed over, and so is a single one that is not understood', async () => {
    issuer.serves.jwks = { keys: [await jwkOf(STRANGER, { kid: 'secret', use: 'enc' }), { kty: 'EC', kid: 7 }, await jwkOf(PAIRS.ES256, { kid: 'first', use: 'sig' })] };
    expect(await source.keyFor('secret', 'ES256')).toBeUndefined();
    expect(await source.keyFor('first', 'ES256')).toBeDefined();
  });
});

describe('with an issuer that is down', () => {
  it('OI-3: keys are used for an hour from when they were fetched, and then no longer', async () => {
    const key = await source.keyFor('first', 'ES256');
    issuer.serves.status = 503;
    clock.advance(60 * MINUTE - 1);
    expect(await source.keyFor('first', 'ES256')).toBe(key);
    clock.advance(1);
    await expect(source.keyFor('first', 'ES256')).rejects.toEqual(unavailable);
    expect(warned).not.toEqual([]);
  });

  it('it is asked once in half a minute, and once in a second where there are no keys', async () => {
    issuer.serves.status = 503;
    for (let tenth = 0; tenth < 50; tenth += 1) {
      await expect(source.keyFor('first', 'ES256')).rejects.toEqual(unavailable);
      clock.advance(100);
    }
    expect(issuer.asked).toHaveLength(5);
    issuer.serves.status = 200;
    expect(await source.keyFor('first', 'ES256')).toBeDefined();

    issuer.serves.status = 503;
    issuer.asked.length = 0;
    clock.advance(10 * MINUTE);
    for (let second = 0; second < 60; second += 1) {
      expect(await source.keyFor('first', 'ES256')).toBeDefined();
      clock.advance(1_000);
    }
    expect(issuer.asked).toHaveLength(2);
  });

  it('nobody can tell an unknown id from a new one: it is not called a bad token', async () => {
    await source.keyFor('first', 'ES256');
    issuer.serves.status = 503;
    clock.advance(30_000);
    await expect(source.keyFor('second', 'ES256')).rejects.toEqual(unavailable);
    await expect(source.keyFor('third', 'ES256')).rejects.toEqual(unavailable);
    expect(await source.keyFor('first', 'ES256')).toBeDefined();
    issuer.serves.status = 200;
    clock.advance(30_000);
    expect(await source.keyFor('second', 'ES256')).toBeUndefined();
  });

  it('callers with usable keys do not wait for it, but for the one who asks', async () => {
    await source.keyFor('first', 'ES256');
    clock.advance(10 * MINUTE);
    const { promise, resolve } = Promise.withResolvers<undefined>();
    issuer.gate = promise;
    const first = source.keyFor('first', 'ES256');
    expect(await source.keyFor('first', 'ES256')).toBeDefined();
    expect(await source.keyFor('first', 'ES256')).toBeDefined();
    resolve(undefined);
    expect(await first).toBeDefined();
    expect(issuer.asked).toHaveLength(2 * ONE_LOAD);
  });

  it.each([
    ['no JSON', '<html>'],
    ['no keys', {}],
    ['keys that are no list', { keys: 'all' }],
    ['more keys than an issuer has', { keys: Array.from({ length: 101 }, () => ({ kty: 'EC' })) }],
    ['more than a mebibyte', `{"keys":[],"x":"${'x'.repeat(1024 * 1024)}"}`],
  ])('or answers %s: the keys at hand stay', async (_name, jwks) => {
    await source.keyFor('first', 'ES256');
    issuer.serves.jwks = jwks;
    clock.advance(10 * MINUTE);
    expect(await source.keyFor('first', 'ES256')).toBeDefined();
    await expect(sourceOf(issuer.issuer).keyFor('first', 'ES256')).rejects.toEqual(unavailable);
  });

  it('but an empty set of keys is an answer: all were removed', async () => {
    await source.keyFor('first', 'ES256');
    issuer.serves.jwks = { keys: [] };
    clock.advance(10 * MINUTE);
    expect(await source.keyFor('first', 'ES256')).toBeUndefined();
  });
});
