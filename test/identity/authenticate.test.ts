import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { exportJWK, FlattenedSign, SignJWT, UnsecuredJWT } from 'jose';
import { startDevIssuer, type DevIssuer } from '../../dev/dev-issuer.ts';
import { configSchema, type Config } from '../../src/config/config-schema.ts';
import { toEpochSeconds } from '../../src/core/time.ts';
import { createAuthenticator } from '../../src/identity/authenticate.ts';
import type { Authenticator } from '../../src/identity/caller.ts';
import { createOutboundFetch } from '../../src/identity/outbound-fetch.ts';
import { ManualClock } from '../support/manual-clock.ts';

const AUDIENCE = 'mayfly';
const SVID = 'spiffe://example.org/agent/refunds';

let directory: string;
let bundleFile: string;
let workloads: DevIssuer;
let operators: DevIssuer;
let clock: ManualClock;
let authenticator: Authenticator;
const trustKey = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const otherKey = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const edKey = generateKeyPairSync('ed25519');
const rsaKey = generateKeyPairSync('rsa', { modulusLength: 2048 });

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'mayfly-identity-'));
  bundleFile = join(directory, 'bundle.json');
  workloads = await startDevIssuer({ audience: AUDIENCE });
  operators = await startDevIssuer({ audience: 'mayfly-operators' });
});

afterAll(async () => {
  await Promise.all([workloads.stop(), operators.stop()]);
  await rm(directory, { recursive: true, force: true });
});

beforeEach(async () => {
  clock = new ManualClock(Date.now());
  await writeBundle({ keys: [await bundleKey(trustKey.publicKey, 'k1'), await bundleKey(rsaKey.publicKey, 'rsa'), await bundleKey(edKey.publicKey, 'ed')] });
  authenticator = fresh();
});

const bundleKey = async (key: KeyObject, kid: string, use = 'jwt-svid'): Promise<object> => ({ ...(await exportJWK(key)), kid, use });
const writeBundle = (bundle: object): Promise<void> => writeFile(bundleFile, JSON.stringify(bundle));

function settings(issuer: Partial<Config['identity']['issuers'][number]> = {}): Pick<Config, 'identity' | 'operators'> {
  const shape = configSchema.shape;
  return {
    identity: shape.identity.parse({
      audience: AUDIENCE,
      issuers: [{ issuer: workloads.issuer, instance_claim: 'run_id', ...issuer }],
      trust_domains: [{ name: 'example.org', bundle_file: bundleFile }, { name: 'other.org', bundle_file: join(directory, 'none.json') }],
    }),
    operators: shape.operators.parse({ issuer: operators.issuer, audience: 'mayfly-operators' }),
  };
}

function fresh(issuer: Parameters<typeof settings>[0] = {}): Authenticator {
  const hosts = [workloads.issuer, operators.issuer].map((url) => new URL(url).host);
  return createAuthenticator({
    ...settings(issuer),
    outboundFetch: createOutboundFetch({ environment: 'development', allowHosts: hosts, allowPrivateAddresses: true }),
    clock,
    log: { warn: () => undefined },
  });
}

interface SvidOptions {
  readonly header?: object;
  readonly claims?: object;
  readonly key?: KeyObject;
  readonly drop?: readonly string[];
}

/** A JWT-SVID, good unless told otherwise. */
async function svid({ header = {}, claims = {}, key = trustKey.privateKey, drop = [] }: SvidOptions = {}): Promise<string> {
  const now = toEpochSeconds(clock.now());
  const all = { sub: SVID, aud: AUDIENCE, iat: now, exp: now + 300, ...claims };
  const kept = Object.fromEntries(Object.entries(all).filter(([name]) => !drop.includes(name)));
  return new SignJWT(kept).setProtectedHeader({ alg: 'ES256', kid: 'k1', ...header }).sign(key);
}

const now = (): number => toEpochSeconds(clock.now());
const refusedWith = (code: string) => expect.objectContaining({ code });

/** Tokens that must be refused, by the requirement that each breaks. */
const BAD: readonly (readonly [string, () => Promise<string>])[] = [
  ['SP-1: a subject with a query', () => svid({ claims: { sub: `${SVID}?a=b` } })],
  ['SP-1: a subject with a fragment', () => svid({ claims: { sub: `${SVID}#a` } })],
  ['SP-1: another scheme', () => svid({ claims: { sub: 'https://example.org/agent' } })],
  ['SP-2: a trust domain with a port', () => svid({ claims: { sub: 'spiffe://example.org:80/agent' } })],
  ['SP-2: a trust domain with user information', () => svid({ claims: { sub: 'spiffe://u@example.org/agent' } })],
  ['SP-2: an empty trust domain', () => svid({ claims: { sub: 'spiffe:///agent' } })],
  ['SP-3: a dot segment', () => svid({ claims: { sub: 'spiffe://example.org/a/../b' } })],
  ['SP-3: a trailing slash', () => svid({ claims: { sub: `${SVID}/` } })],
  ['SP-3: an empty segment', () => svid({ claims: { sub: 'spiffe://example.org//agent' } })],
  ['SP-3: percent-encoding', () => svid({ claims: { sub: 'spiffe://example.org/%61gent' } })],
  ['SP-4: a subject of more than 2,048 bytes', () => svid({ claims: { sub: `spiffe://example.org/${'a'.repeat(2_048)}` } })],
  ['SP-5: upper case in the scheme', () => svid({ claims: { sub: 'SPIFFE://example.org/agent' } })],
  ['SP-5: upper case in the trust domain', () => svid({ claims: { sub: 'spiffe://Example.org/agent' } })],
  ['SP-10: JSON serialisation', async () => JSON.stringify(await new FlattenedSign(Buffer.from('{}')).setProtectedHeader({ alg: 'ES256' }).sign(trustKey.privateKey))],
  ['SP-10: five parts', async () => `${await svid()}.a.b`],
  ['SP-11: no signature', () => Promise.resolve(new UnsecuredJWT({ sub: SVID, aud: AUDIENCE, exp: now() + 60 }).encode())],
  ['SP-11: HMAC with the public key as secret', () => hmacToken()],
  ['SP-11: EdDSA for an SVID', () => svid({ header: { alg: 'EdDSA', kid: 'ed' }, key: edKey.privateKey })],
  ['SP-12: a type that is not JWT or JOSE', () => svid({ header: { typ: 'at+jwt' } })],
  ['SP-12: a key in the header', async () => svid({ header: { jwk: await exportJWK(otherKey.publicKey) }, key: otherKey.privateKey })],
  ['SP-12: a key URL in the header', () => svid({ header: { jku: 'https://evil.example/jwks' }, key: otherKey.privateKey })],
  ['SP-12: certificates in the header', () => svid({ header: { x5c: ['AAAA'] } })],
  ['SP-12: a critical extension', () => svid({ header: { crit: ['b64'], b64: true } })],
  ['SP-13: no key id', () => svid({ header: { kid: undefined } })],
  ['SP-13: an unknown key id', () => svid({ header: { kid: 'k2' } })],
  ['SP-14: no subject', () => svid({ drop: ['sub'] })],
  ['SP-14: a trust domain alone', () => svid({ claims: { sub: 'spiffe://example.org' } })],
  ['SP-14: a trust domain without a bundle', () => svid({ claims: { sub: 'spiffe://other.org/agent' } })],
  ['SP-14: an unknown trust domain', () => svid({ claims: { sub: 'spiffe://evil.org/agent' } })],
  ["SP-14: a workload signed with another domain's key", () => svid({ key: otherKey.privateKey })],
  ['SP-14: an issuer that vouches for a SPIFFE ID', () => workloads.sign({ subject: SVID })],
  ['SP-15: no audience', () => svid({ drop: ['aud'] })],
  ['SP-15: another audience', () => svid({ claims: { aud: 'other' } })],
  ['SP-15: the audience with a slash', () => svid({ claims: { aud: 'mayfly/' } })],
  ['SP-15: the audience in upper case', () => svid({ claims: { aud: 'Mayfly' } })],
  ['SP-15: an empty list of audiences', () => svid({ claims: { aud: [] } })],
  ['SP-15: one audience more', () => svid({ claims: { aud: [AUDIENCE, 'other'] } })],
  ['SP-15: a number for an audience', () => svid({ claims: { aud: 5 } })],
  ['SP-16: no expiry', () => svid({ drop: ['exp'] })],
  ['SP-16: expired beyond the skew', () => svid({ claims: { iat: now() - 200, exp: now() - 31 } })],
  ['SP-16: an expiry with a fraction', () => svid({ claims: { exp: now() + 60.5 } })],
  ['SP-16: an expiry as a string', () => svid({ claims: { exp: String(now() + 60) } })],
  ['SP-16: a life longer than allowed', () => svid({ claims: { exp: now() + 3_601 } })],
  ['SP-16: a life longer than allowed, without a start', () => svid({ drop: ['iat'], claims: { exp: now() + 3_700 } })],
  ['SP-18: not valid yet', () => svid({ claims: { nbf: now() + 60 } })],
  ['OI-1: an issuer with a slash more', () => forged({ iss: `${workloads.issuer}/` })],
  ['OI-1: an unknown issuer', () => forged({ iss: 'https://evil.example' })],
  ['OI-1: no issuer', () => forged({ iss: undefined })],
  ['OI-2: a token of the operators, used as a workload', () => operators.sign({ subject: 'agent:refunds', audience: AUDIENCE })],
  ['OI-4: an algorithm that is not allowed for the issuer', () => forged({}, { alg: 'RS256' }, rsaKey.privateKey)],
  ['OI-4: signed by somebody else', () => forged({})],
  ['OI-6: another kind of token', () => forged({}, { typ: 'secevent+jwt' })],
  ['nothing like a token', () => Promise.resolve('hello')],
  ['an empty token', () => Promise.resolve('a.b.c')],
  ['a token of more than 16 KiB', () => svid({ claims: { padding: 'x'.repeat(20_000) } })],
  ['a subject of nothing', () => workloads.sign({ subject: '' })],
];

async function forged(claims: object, header: object = {}, key: KeyObject = otherKey.privateKey): Promise<string> {
  const all: Record<string, unknown> = { iss: workloads.issuer, sub: 'agent:refunds', aud: AUDIENCE, iat: now(), exp: now() + 60, ...claims };
  return new SignJWT(all).setProtectedHeader({ alg: 'ES256', ...header }).sign(key);
}

async function hmacToken(): Promise<string> {
  const secret = trustKey.publicKey.export({ type: 'spki', format: 'pem' });
  return new SignJWT({ sub: SVID, aud: AUDIENCE, exp: now() + 60 }).setProtectedHeader({ alg: 'HS256', kid: 'k1' }).sign(Buffer.from(secret));
}

describe('a token is refused', () => {
  it.each(BAD)('%s', async (_name, make) => {
    await expect(authenticator.authenticate(await make())).rejects.toEqual(refusedWith('invalid_token'));
  });

  it('and the reason repeats nothing of it', async () => {
    const token = await svid({ claims: { sub: 'spiffe://example.org/../secret-name' } });
    await expect(authenticator.authenticate(token)).rejects.toMatchObject({ message: expect.not.stringContaining('secret-name') });
  });

  it('OI-5: issued in the future, beyond the skew; within it it is accepted (control)', async () => {
    await expect(authenticator.authenticate(await svid({ claims: { iat: now() + 31, exp: now() + 90 } }))).rejects.toEqual(refusedWith('invalid_token'));
    expect(await authenticator.authenticate(await svid({ claims: { iat: now() + 29, exp: now() + 90 } }))).toMatchObject({ kind: 'workload' });
  });
});

describe('a token is accepted', () => {
  it('a JWT-SVID, whose issuer is its trust domain', async () => {
    expect(await authenticator.authenticate(await svid())).toMatchObject({ kind: 'workload', issuer: 'spiffe://example.org', subject: SVID, instance: null });
  });

  it.each([[['JWT']], [['JOSE']]])('a JWT-SVID of type %s', async ([typ]) => {
    expect(await authenticator.authenticate(await svid({ header: { typ } }))).toMatchObject({ subject: SVID });
  });

  it('a JWT-SVID signed with RSA, and one with a single audience in a list', async () => {
    expect(await authenticator.authenticate(await svid({ header: { alg: 'RS256', kid: 'rsa' }, key: rsaKey.privateKey }))).toMatchObject({ subject: SVID });
    expect(await authenticator.authenticate(await svid({ claims: { aud: [AUDIENCE] } }))).toMatchObject({ subject: SVID });
  });

  it('of an OIDC issuer, with the instance it names', async () => {
    const token = await workloads.sign({ subject: 'agent:refunds', claims: { run_id: 'run-7' } });
    expect(await authenticator.authenticate(token)).toMatchObject({ kind: 'workload', issuer: workloads.issuer, subject: 'agent:refunds', instance: 'run-7' });
  });

  it('bound to a key, whose thumbprint is then the instance', async () => {
    const token = await workloads.sign({ subject: 'agent:refunds', claims: { cnf: { jkt: 'thumb' } } });
    expect(await authenticator.authenticate(token)).toMatchObject({ instance: 'thumb' });
  });

  it.each([
    [['mayfly-viewer'], 'viewer'],
    [['mayfly-operator', 'mayfly-viewer'], 'operator'],
    ['mayfly-viewer mayfly-admin', 'admin'],
  ])('of an operator with roles %j as %s', async (roles, role) => {
    expect(await authenticator.authenticate(await operators.sign({ subject: 'olga', claims: { roles } }))).toMatchObject({ kind: 'operator', role });
  });

  it('but an operator without a role may do nothing', async () => {
    await expect(authenticator.authenticate(await operators.sign({ subject: 'olga' }))).rejects.toEqual(refusedWith('forbidden'));
  });
});

describe('whom an issuer may vouch for', () => {
  it('is what is listed, exactly or up to a star', async () => {
    const listed = fresh({ subjects: ['agent:*', 'cron'] });
    expect(await listed.authenticate(await workloads.sign({ subject: 'agent:x' }))).toMatchObject({ subject: 'agent:x' });
    expect(await listed.authenticate(await workloads.sign({ subject: 'cron' }))).toMatchObject({ subject: 'cron' });
    await expect(listed.authenticate(await workloads.sign({ subject: 'cronjob' }))).rejects.toEqual(refusedWith('invalid_token'));
    await expect(listed.authenticate(await workloads.sign({ subject: 'orchestrator' }))).rejects.toEqual(refusedWith('invalid_token'));
  });

  it('includes a SPIFFE ID only where that is listed by name', async () => {
    const listed = fresh({ subjects: [SVID] });
    expect(await listed.authenticate(await workloads.sign({ subject: SVID }))).toMatchObject({ issuer: workloads.issuer, subject: SVID });
  });
});

describe('keys', () => {
  it('SP-32: an emptied bundle refuses everyone, also whom it accepted a moment ago', async () => {
    const token = await svid();
    await authenticator.authenticate(token);
    await writeBundle({ keys: [] });
    clock.advance(1_001);
    await expect(authenticator.authenticate(token)).rejects.toEqual(refusedWith('invalid_token'));
  });

  it('SP-30: passes over keys of another use', async () => {
    await writeBundle({ keys: [await bundleKey(trustKey.publicKey, 'k1', 'x509-svid'), await bundleKey(trustKey.publicKey, 'k2', 'JWT-SVID')] });
    await expect(fresh().authenticate(await svid())).rejects.toEqual(refusedWith('invalid_token'));
  });

  it('SP-33: never goes back to a lower sequence', async () => {
    await writeBundle({ spiffe_sequence: 2, keys: [await bundleKey(trustKey.publicKey, 'k1')] });
    const own = fresh();
    await own.authenticate(await svid());
    await writeBundle({ spiffe_sequence: 1, keys: [await bundleKey(otherKey.publicKey, 'k1')] });
    clock.advance(1_001);
    await expect(own.authenticate(await svid({ key: otherKey.privateKey }))).rejects.toEqual(refusedWith('invalid_token'));
    expect(await own.authenticate(await svid())).toMatchObject({ subject: SVID });
  });

  it('keeps the last good bundle when the file is broken', async () => {
    await authenticator.authenticate(await svid());
    await writeFile(bundleFile, '{');
    clock.advance(1_001);
    expect(await authenticator.authenticate(await svid({ claims: { jti: 'x' } }))).toMatchObject({ subject: SVID });
  });

  it('OI-3: follows a rotation of the issuer, and asks at most every half minute for ids it does not know', async () => {
    const issuer = await startDevIssuer({ audience: AUDIENCE });
    let asked = 0;
    const counted = createOutboundFetch({ environment: 'development', allowHosts: [new URL(issuer.issuer).host], allowPrivateAddresses: true });
    const base = settings();
    const own = createAuthenticator({
      operators: base.operators,
      identity: { ...base.identity, issuers: base.identity.issuers.map((one) => ({ ...one, issuer: issuer.issuer })) },
      outboundFetch: (url) => {
        asked += 1;
        return counted(url);
      },
      clock,
      log: { warn: () => undefined },
    });
    const old = await issuer.sign({ subject: 'agent:a' });
    await own.authenticate(old);
    expect(asked).toBe(2);
    await issuer.rotate();
    const token = await issuer.sign({ subject: 'agent:a' });
    await expect(own.authenticate(token)).rejects.toEqual(refusedWith('invalid_token'));
    clock.advance(30_000);
    expect(await own.authenticate(token)).toMatchObject({ subject: 'agent:a' });
    expect(asked).toBe(4);
    await expect(own.authenticate(old)).rejects.toEqual(refusedWith('invalid_token'));
    await Promise.all(Array.from({ length: 20 }, async () => expect(own.authenticate(await forged({ iss: issuer.issuer }, { kid: Math.random().toString() }))).rejects.toEqual(refusedWith('invalid_token'))));
    expect(asked).toBe(4);
    await issuer.stop();
  });

  it('OI-3: uses the keys it has while the issuer is down, for an hour, and then says that it cannot judge', async () => {
    const issuer = await startDevIssuer({ audience: AUDIENCE });
    const own = fresh({ issuer: issuer.issuer });
    const hosts = [issuer.issuer, operators.issuer].map((url) => new URL(url).host);
    const lonely = createAuthenticator({ ...settings({ issuer: issuer.issuer }), outboundFetch: createOutboundFetch({ environment: 'development', allowHosts: hosts, allowPrivateAddresses: true }), clock, log: { warn: () => undefined } });
    await lonely.authenticate(await issuer.sign({ subject: 'agent:a' }));
    const later = await issuer.sign({ subject: 'agent:a', lifetimeSeconds: 3_500 });
    await issuer.stop();
    clock.advance(900_000);
    expect(await lonely.authenticate(later)).toMatchObject({ subject: 'agent:a' });
    clock.advance(2_710_000);
    await expect(lonely.authenticate(later)).rejects.toEqual(refusedWith('identity_unavailable'));
    await expect(own.authenticate(later)).rejects.toEqual(refusedWith('identity_unavailable'));
  });

  it('refuses a token that expired although it was accepted a moment ago', async () => {
    const token = await svid({ claims: { exp: now() + 10 } });
    await authenticator.authenticate(token);
    clock.advance(41_000);
    await expect(authenticator.authenticate(token)).rejects.toEqual(refusedWith('invalid_token'));
  });
});
