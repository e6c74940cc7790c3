import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { configSchema } from '../../src/config/config-schema.ts';
import { toEpochSeconds } from '../../src/core/time.ts';
import { createAuthenticator } from '../../src/identity/authenticate.ts';
import type { Caller } from '../../src/identity/caller.ts';
import { createKeySources } from '../../src/identity/key-sources.ts';
import type { OutboundFetch } from '../../src/identity/outbound-fetch.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { bearer } from '../support/presented.ts';
import { jwkOf, pairFor, PAIRS, publishIssuer, signed, STRANGER, type Pair, type PublishedIssuer } from './published-issuer.ts';

const AUDIENCE = 'mayfly';
const OPERATORS = 'mayfly-operators';
const SVID = 'spiffe://example.org/agent/refunds';

let directory: string;
let bundleFile: string;
let workloads: PublishedIssuer;
let people: PublishedIssuer;
let clock: ManualClock;
let authenticator: TokenAuthenticator;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'mayfly-identity-'));
  bundleFile = join(directory, 'example.org.json');
  await writeFile(join(directory, 'other.org.json'), JSON.stringify({ keys: [await jwkOf(STRANGER, { kid: 'k1', use: 'jwt-svid' })] }));
  workloads = await publishIssuer();
  people = await publishIssuer([await jwkOf(PAIRS.ES256, { kid: 'k1' })]);
});

afterAll(async () => {
  await Promise.all([workloads.stop(), people.stop()]);
  await rm(directory, { recursive: true, force: true });
});

beforeEach(async () => {
  clock = new ManualClock();
  workloads.serves = { ...workloads.serves, status: 200, jwks: { keys: await keySet() } };
  await writeBundle(await keySet({ use: 'jwt-svid' }));
  authenticator = fresh();
});

const keySet = (members: object = {}) =>
  Promise.all([jwkOf(PAIRS.ES256, { kid: 'k1', ...members }), jwkOf(PAIRS.RSA, { kid: 'rsa', ...members }), jwkOf(PAIRS.EdDSA, { kid: 'ed', ...members })]);
const writeBundle = (keys: readonly object[]): Promise<void> => writeFile(bundleFile, JSON.stringify({ keys }));
const now = (): number => toEpochSeconds(clock.now());

/** Asks with a bearer token and nothing else. */
interface TokenAuthenticator {
  authenticate(token: string): Promise<Caller>;
}

/** An authenticator without memory of tokens or keys; with other settings for the issuer or the operators. */
function fresh({ issuer = {}, operators = {}, trustDomains = ['example.org', 'other.org', 'nowhere.org'] }: { issuer?: object; operators?: object; trustDomains?: readonly string[] } = {}): TokenAuthenticator {
  const { identity, operators: operatorsSchema } = configSchema.shape;
  const settings = identity.parse({
    audience: AUDIENCE,
    issuers: [{ issuer: workloads.issuer, algorithms: ['ES256'], ...issuer }],
    trust_domains: trustDomains.map((name) => ({ name, bundle_file: join(directory, `${name}.json`) })),
  });
  const outboundFetch: OutboundFetch = (url, options) => (url.startsWith(people.issuer) ? people : workloads).fetch(url, options);
  const created = createAuthenticator({
    sessions: undefined,
    identity: settings,
    operators: operatorsSchema.parse({ issuer: people.issuer, audience: OPERATORS, ...operators }),
    keys: createKeySources(settings.trust_domains, { outboundFetch, clock, log: { warn: () => undefined } }),
    outboundFetch,
    dpop: undefined,
    useOnce: () => Promise.reject(new Error('nothing here is for one use')),
    clock,
  });
  return { authenticate: (token) => created.authenticate(bearer(token)) };
}

interface Change {
  readonly claims?: object;
  readonly header?: Record<string, unknown>;
  readonly alg?: string;
  readonly pair?: Pair;
}

const made = (defaults: object, { claims = {}, header = {}, alg = 'ES256', pair = pairFor(alg) }: Change): Promise<string> =>
  signed({ iat: now(), exp: now() + 300, ...defaults, ...claims }, { alg, kid: { RSA: 'rsa', ES2: 'k1', EdD: 'ed' }[alg.replace(/^[RP]S\d+$/, 'RSA').slice(0, 3)], ...header }, pair);
/** Good tokens, but for the change. */
const svid = (change: Change = {}): Promise<string> => made({ sub: SVID, aud: AUDIENCE }, change);
const oidc = (change: Change = {}): Promise<string> => made({ iss: workloads.issuer, sub: 'agent:refunds', aud: AUDIENCE }, change);
const person = (change: Change = {}): Promise<string> => made({ iss: people.issuer, sub: 'olga', aud: OPERATORS, roles: ['mayfly-viewer'] }, change);

const invalid = expect.objectContaining({ code: 'invalid_token' });

const UNKNOWN = 'its issuer is not known here';
const MEMBER = 'its subject is not a workload of the trust domain';
const TYPE = 'it is another kind of token';
const ALGORITHM = 'its algorithm is not allowed for this issuer';
const SIGNATURE = 'its signature does not fit';
const AUD = 'its claim aud is missing or wrong';
const NO_KEY = 'its key is not one of the issuer';

/** Tokens that must be refused, by the requirement that each breaks, and the reason that is given. */
const BAD: readonly (readonly [string, string, () => Promise<string>])[] = [
  ['SP-1: a subject with a query', UNKNOWN, () => svid({ claims: { sub: `${SVID}?a=b` } })],
  ['SP-1: a subject with a fragment', UNKNOWN, () => svid({ claims: { sub: `${SVID}#a` } })],
  ['SP-1: another scheme', UNKNOWN, () => svid({ claims: { sub: 'https://example.org/agent' } })],
  ['SP-2: a trust domain with a port', UNKNOWN, () => svid({ claims: { sub: 'spiffe://example.org:80/agent' } })],
  ['SP-2: a trust domain with user information', UNKNOWN, () => svid({ claims: { sub: 'spiffe://u@example.org/agent' } })],
  ['SP-2: an empty trust domain', UNKNOWN, () => svid({ claims: { sub: 'spiffe:///agent' } })],
  ['SP-3: a dot segment', UNKNOWN, () => svid({ claims: { sub: 'spiffe://example.org/a/../b' } })],
  ['SP-3: a trailing slash', UNKNOWN, () => svid({ claims: { sub: `${SVID}/` } })],
  ['SP-3: an empty segment', UNKNOWN, () => svid({ claims: { sub: 'spiffe://example.org//agent' } })],
  ['SP-3: percent-encoding', UNKNOWN, () => svid({ claims: { sub: 'spiffe://example.org/%61gent' } })],
  ['SP-4: a subject of 2,049 bytes', UNKNOWN, () => svid({ claims: { sub: `spiffe://example.org/${'a'.repeat(2_028)}` } })],
  ['SP-5: upper case in the scheme', UNKNOWN, () => svid({ claims: { sub: 'SPIFFE://example.org/agent' } })],
  ['SP-5: upper case in the trust domain', UNKNOWN, () => svid({ claims: { sub: 'spiffe://Example.org/agent' } })],
  ['SP-5: upper case in the scheme, vouched for by an issuer', UNKNOWN, () => oidc({ claims: { sub: 'SPIFFE://example.org/agent' } })],
  ['SP-10: JSON serialisation', 'it is not a compact JWS', async () => JSON.stringify({ payload: (await svid()).split('.')[1] })],
  ...['EdDSA', 'HS256'].map((alg) => [`SP-11: ${alg} for an SVID`, ALGORITHM, () => svid({ header: { alg, kid: 'ed' }, ...(alg === 'EdDSA' ? { alg } : { pair: hmacPair() }) })] as const),
  ['SP-12: an SVID of type at+jwt', TYPE, () => svid({ header: { typ: 'at+jwt' } })],
  ['SP-12: an SVID of type jwt in lower case', TYPE, () => svid({ header: { typ: 'jwt' } })],
  ['SP-12: an SVID that brings its key', 'its header brings keys or extensions', async () => svid({ header: { jwk: await jwkOf(STRANGER) }, pair: STRANGER })],
  ['SP-13: an SVID without a key id', 'it names no key', () => svid({ header: { kid: undefined } })],
  ['SP-13: an SVID with an unknown key id', NO_KEY, () => svid({ header: { kid: 'k2' } })],
  ['SP-14: an SVID without a subject', UNKNOWN, () => svid({ claims: { sub: undefined } })],
  ['SP-14: an SVID with a number for a subject', UNKNOWN, () => svid({ claims: { sub: 5 } })],
  ['SP-14: a trust domain alone', MEMBER, () => svid({ claims: { sub: 'spiffe://example.org' } })],
  ['SP-14: an unknown trust domain', UNKNOWN, () => svid({ claims: { sub: 'spiffe://evil.org/agent' } })],
  ['SP-14: a trust domain below a known one', UNKNOWN, () => svid({ claims: { sub: 'spiffe://x.example.org/agent' } })],
  ["SP-14: a workload signed with another domain's key of the same name", SIGNATURE, () => svid({ pair: STRANGER })],
  ['SP-14: the other way round', SIGNATURE, () => svid({ claims: { sub: 'spiffe://other.org/agent' } })],
  ['SP-14: a workload of the other domain, vouched for by an issuer', SIGNATURE, () => oidc({ claims: { sub: 'spiffe://other.org/agent' } })],
  ['SP-14: a workload vouched for by the issuer of operators', AUD, () => person({ claims: { sub: SVID } })],
  ['SP-15: an SVID for another audience', AUD, () => svid({ claims: { aud: 'other' } })],
  ['SP-15: an SVID for one audience more', 'it is for more than this audience', () => svid({ claims: { aud: [AUDIENCE, 'other'] } })],
  ['SP-15: an SVID for operators', AUD, () => svid({ claims: { aud: OPERATORS } })],
  ['SP-16: an SVID without an expiry', 'its claim exp is missing or wrong', () => svid({ claims: { exp: undefined } })],
  ['SP-16: an SVID that has expired', 'it has expired', () => svid({ claims: { iat: now() - 200, exp: now() - 30 } })],
  ['SP-16: an SVID that lives more than an hour', 'it lives longer than allowed', () => svid({ claims: { exp: now() + 3_601 } })],
  ['SP-18: an SVID that is not valid yet', 'its claim nbf is missing or wrong', () => svid({ claims: { nbf: now() + 60 } })],
  ['OI-1: an issuer with a slash more', UNKNOWN, () => oidc({ claims: { iss: `${workloads.issuer}/` } })],
  ['OI-1: an unknown issuer', UNKNOWN, () => oidc({ claims: { iss: 'https://evil.example' } })],
  ['OI-1: no issuer', UNKNOWN, () => oidc({ claims: { iss: undefined } })],
  ['OI-1: a list of issuers', UNKNOWN, () => oidc({ claims: { iss: [workloads.issuer] } })],
  ['OI-1: a trust domain as the issuer', UNKNOWN, () => oidc({ claims: { iss: 'spiffe://example.org' } })],
  ['OI-4: an algorithm that is not allowed for the issuer', ALGORITHM, () => oidc({ alg: 'RS256' })],
  ['OI-4: signed by somebody else', SIGNATURE, () => oidc({ pair: STRANGER })],
  ['OI-4: an unknown key id', NO_KEY, () => oidc({ header: { kid: 'k2' } })],
  ['OI-4: no key id, and signed by somebody else', SIGNATURE, () => oidc({ header: { kid: undefined }, pair: STRANGER })],
  ['OI-5: that lives more than an hour', 'it lives longer than allowed', () => oidc({ claims: { exp: now() + 3_601 } })],
  ['OI-6: another kind of token', TYPE, () => oidc({ header: { typ: 'secevent+jwt' } })],
  ['a workload token for operators', AUD, () => oidc({ claims: { aud: OPERATORS } })],
  ["an operator's token for workloads", AUD, () => person({ claims: { aud: AUDIENCE } })],
  ['an operator that somebody else signed for', SIGNATURE, () => person({ pair: STRANGER })],
  ['nothing like a token', 'it is not a compact JWS', () => Promise.resolve('hello')],
  ['three parts of nothing', 'its claims cannot be read', () => Promise.resolve('a.b.c')],
  ['a token of more than 16 KiB', 'it is not a compact JWS', () => svid({ claims: { padding: 'x'.repeat(20_000) } })],
];

/** The public key, known to everybody, as the secret of an HMAC. */
function hmacPair(): Pair {
  const secret = Buffer.from(PAIRS.ES256.publicKey.export({ type: 'spki', format: 'pem' }));
  return { ...PAIRS.ES256, privateKey: secret as unknown as Pair['privateKey'] };
}

describe('a token is refused', () => {
  it.each(BAD)('%s', async (_name, reason, make) => {
    await expect(authenticator.authenticate(await make())).rejects.toMatchObject({ code: 'invalid_token', message: `the token was not accepted: ${reason}` });
  });

  it('and the reason repeats nothing of it', async () => {
    const token = await svid({ claims: { sub: 'spiffe://example.org/../planted-name', iss: 'planted-issuer' } });
    await expect(authenticator.authenticate(token)).rejects.toMatchObject({ message: expect.not.stringContaining('planted') });
  });

  it('but not called bad where its trust domain has no bundle: that is our trouble', async () => {
    await expect(authenticator.authenticate(await svid({ claims: { sub: 'spiffe://nowhere.org/agent' } }))).rejects.toMatchObject({ code: 'identity_unavailable' });
  });
});

describe('a token is accepted', () => {
  it('a JWT-SVID, whose issuer is its trust domain whatever it says', async () => {
    const caller = { kind: 'workload', issuer: 'spiffe://example.org', subject: SVID, instance: null };
    expect(await authenticator.authenticate(await svid())).toMatchObject(caller);
    expect(await authenticator.authenticate(await svid({ claims: { iss: workloads.issuer } }))).toMatchObject(caller);
    expect(await authenticator.authenticate(await svid({ claims: { iss: 'https://unknown.test' } }))).toMatchObject(caller);
  });

  it("a JWT-SVID of another trust domain, with that domain's own key", async () => {
    expect(await authenticator.authenticate(await svid({ claims: { sub: 'spiffe://other.org/agent' }, pair: STRANGER }))).toMatchObject({ issuer: 'spiffe://other.org' });
  });

  it('SP-17: a JWT-SVID without jti, again and again: workloads use theirs until it is renewed', async () => {
    const token = await svid();
    for (let call = 0; call < 3; call += 1) expect(await authenticator.authenticate(token)).toMatchObject({ subject: SVID });
  });

  it.each(['JWT', 'JOSE'])('a JWT-SVID of type %s', async (typ) => {
    expect(await authenticator.authenticate(await svid({ header: { typ } }))).toMatchObject({ subject: SVID });
  });

  it.each(['RS256', 'RS512', 'PS256', 'ES256'])('a JWT-SVID signed by %s', async (alg) => {
    expect(await authenticator.authenticate(await svid({ alg }))).toMatchObject({ subject: SVID });
  });

  it.each(['RS256', 'EdDSA', 'ES256'])('of an issuer that may use %s', async (alg) => {
    expect(await fresh({ issuer: { algorithms: [alg] } }).authenticate(await oidc({ alg }))).toMatchObject({ kind: 'workload', issuer: workloads.issuer, subject: 'agent:refunds' });
  });

  it.each(['JWT', 'jwt', 'at+jwt', 'application/at+jwt', undefined])('of an issuer, of type %s', async (typ) => {
    expect(await authenticator.authenticate(await oidc({ header: { typ } }))).toMatchObject({ subject: 'agent:refunds' });
  });

  it('for the audience of its issuer, where it has one of its own, and then for no other', async () => {
    const own = fresh({ issuer: { audience: 'mayfly-ci' } });
    expect(await own.authenticate(await oidc({ claims: { aud: 'mayfly-ci' } }))).toMatchObject({ subject: 'agent:refunds' });
    await expect(own.authenticate(await oidc())).rejects.toEqual(invalid);
    await expect(own.authenticate(await svid({ claims: { aud: 'mayfly-ci' } }))).rejects.toEqual(invalid);
  });
});

describe('the instance', () => {
  it.each([
    ['run_id', { run_id: 'run-7' }, 'run-7'],
    ['run_id', { run_id: 7 }, '7'],
    ['kubernetes.io.pod.uid', { 'kubernetes.io': { pod: { uid: 'u-1' } } }, 'u-1'],
    ['run_id', { run_id: '' }, null],
    ['run_id', { run_id: { a: 1 } }, null],
    [undefined, { run_id: 'run-7' }, null],
  ])('by the claim %s, of %j, is %j', async (instance_claim, claims, instance) => {
    const own = fresh({ issuer: instance_claim === undefined ? {} : { instance_claim } });
    expect(await own.authenticate(await oidc({ claims }))).toMatchObject({ instance });
  });
});

describe('an operator', () => {
  it.each([
    [['mayfly-viewer'], 'viewer'],
    [['mayfly-operator', 'mayfly-viewer'], 'operator'],
    [['mayfly-viewer', 'mayfly-admin', 'else'], 'admin'],
    ['mayfly-viewer mayfly-admin', 'admin'],
    ['mayfly-operator', 'operator'],
  ])('with the roles %j is %s', async (roles, role) => {
    expect(await authenticator.authenticate(await person({ claims: { roles } }))).toMatchObject({ kind: 'operator', subject: 'olga', role });
  });

  it.each([[undefined], [[]], [['mayfly-ADMIN']], [['xmayfly-admin']], [[['mayfly-admin']]], ['mayfly-administrator'], [{ 0: 'mayfly-admin' }], [true]])('with the roles %j may do nothing', async (roles) => {
    await expect(authenticator.authenticate(await person({ claims: { roles } }))).rejects.toMatchObject({ code: 'forbidden' });
  });

  it.each([
    ['realm_access.roles', { realm_access: { roles: ['mayfly-admin'] } }],
    ['https://example.org/roles', { 'https://example.org/roles': ['mayfly-admin'] }],
  ])('may have them at %s', async (roles_claim, claims) => {
    expect(await fresh({ operators: { roles_claim } }).authenticate(await person({ claims: { ...claims, roles: undefined } }))).toMatchObject({ role: 'admin' });
  });
});

describe('whom an issuer may vouch for', () => {
  it('is what is listed, exactly or up to a star', async () => {
    const listed = fresh({ issuer: { subjects: ['agent:*', 'cron'] } });
    for (const sub of ['agent:x', 'agent:', 'cron']) expect(await listed.authenticate(await oidc({ claims: { sub } }))).toMatchObject({ subject: sub });
    for (const sub of ['cronjob', 'cro', 'Cron', 'orchestrator', 'xagent:x', 'agent']) await expect(listed.authenticate(await oidc({ claims: { sub } }))).rejects.toEqual(invalid);
  });

  it('includes a SPIFFE ID only where that is listed as one, and is well formed', async () => {
    const listed = fresh({ issuer: { subjects: ['agent:*', 'spiffe://ci.org/runner/*'] } });
    const named = { sub: 'spiffe://ci.org/runner/7' };
    expect(await listed.authenticate(await oidc({ claims: named }))).toMatchObject({ issuer: workloads.issuer, subject: named.sub });
    await expect(listed.authenticate(await oidc({ claims: { sub: 'spiffe://ci.org/runner/../admin' } }))).rejects.toEqual(invalid);
    await expect(listed.authenticate(await oidc({ claims: { sub: 'spiffe://ci.org/admin' } }))).rejects.toEqual(invalid);
    await expect(listed.authenticate(await oidc({ claims: { ...named, iss: undefined } }))).rejects.toEqual(invalid);
    await expect(fresh({ issuer: { subjects: ['*'] } }).authenticate(await oidc({ claims: named }))).rejects.toEqual(invalid);
    await expect(authenticator.authenticate(await oidc({ claims: named }))).rejects.toEqual(invalid);
  });

  it('a SPIFFE ID that it may not name is judged by its trust domain, and by nothing after that', async () => {
    await writeBundle([await jwkOf(STRANGER, { kid: 'k1', use: 'jwt-svid' })]);
    await expect(fresh().authenticate(await oidc({ claims: { sub: SVID } }))).rejects.toMatchObject({ message: expect.stringContaining(SIGNATURE) });
    const listed = fresh({ issuer: { subjects: [SVID] } });
    expect(await listed.authenticate(await oidc({ claims: { sub: SVID } }))).toMatchObject({ issuer: workloads.issuer });
    await expect(listed.authenticate(await oidc({ claims: { sub: SVID }, pair: STRANGER }))).rejects.toMatchObject({ message: expect.stringContaining(SIGNATURE) });
  });
});

describe('what was accepted a moment ago', () => {
  it('is accepted without asking or verifying again: the same caller', async () => {
    const token = await oidc();
    const caller = await authenticator.authenticate(token);
    const { length } = workloads.asked;
    expect(await authenticator.authenticate(token)).toBe(caller);
    expect(workloads.asked).toHaveLength(length);
  });

  it('is verified again after a minute', async () => {
    const token = await oidc();
    const caller = await authenticator.authenticate(token);
    clock.advance(59_999);
    expect(await authenticator.authenticate(token)).toBe(caller);
    clock.advance(1);
    const again = await authenticator.authenticate(token);
    expect(again).not.toBe(caller);
    expect(again).toEqual(caller);
  });

  it('is refused when it has expired', async () => {
    const token = await svid({ claims: { exp: now() + 10 } });
    await authenticator.authenticate(token);
    clock.advance(39_999);
    expect(await authenticator.authenticate(token)).toMatchObject({ subject: SVID });
    clock.advance(1);
    await expect(authenticator.authenticate(token)).rejects.toEqual(invalid);
  });

  it('is refused when its key was removed from the bundle; a key that stays changes nothing (control)', async () => {
    const token = await svid();
    await authenticator.authenticate(token);
    await writeBundle([await jwkOf(PAIRS.ES256, { kid: 'k1', use: 'jwt-svid' }), await jwkOf(STRANGER, { kid: 'new', use: 'jwt-svid' })]);
    clock.advance(1_000);
    expect(await authenticator.authenticate(token)).toMatchObject({ subject: SVID });
    await writeBundle([await jwkOf(STRANGER, { kid: 'new', use: 'jwt-svid' })]);
    clock.advance(1_000);
    await expect(authenticator.authenticate(token)).rejects.toEqual(invalid);
  });

  it("is refused as soon as its key is seen to be gone from the issuer's keys", async () => {
    const token = await oidc();
    await authenticator.authenticate(token);
    workloads.serves.jwks = { keys: [await jwkOf(STRANGER, { kid: 'k2' })] };
    clock.advance(30_000);
    expect(await authenticator.authenticate(await oidc({ header: { kid: 'k2' }, pair: STRANGER }))).toMatchObject({ kind: 'workload' });
    await expect(authenticator.authenticate(token)).rejects.toEqual(invalid);
  });

  it('is refused when another key took the name of its own', async () => {
    const token = await svid();
    await authenticator.authenticate(token);
    await writeBundle([await jwkOf(STRANGER, { kid: 'k1', use: 'jwt-svid' })]);
    clock.advance(1_000);
    await expect(authenticator.authenticate(token)).rejects.toEqual(invalid);
  });

  it('is not judged when the keys have become too old to judge by', async () => {
    const token = await oidc({ claims: { iat: now() + 3_590, nbf: now(), exp: now() + 3_900 } });
    await expect(authenticator.authenticate(token)).rejects.toEqual(invalid);
    clock.advance(3_599_000 - 30_000);
    workloads.serves.status = 503;
    await authenticator.authenticate(token);
    clock.advance(31_000);
    await expect(authenticator.authenticate(token)).rejects.toMatchObject({ code: 'identity_unavailable' });
  });
});
