import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { calculateJwkThumbprint, createLocalJWKSet, jwtVerify } from 'jose';
import { createJwtProvider, type JwtProvider } from '../../src/providers/jwt/jwt-provider.ts';
import { describeProviderContract, intentFor } from '../contracts/provider-contract.ts';
import { intendedLease, transition } from '../../src/ledger/lease-transitions.ts';

let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'mayfly-jwt-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

async function provider(kind: 'ec' | 'ed25519' = 'ec', further: readonly string[] = []): Promise<JwtProvider> {
  const { privateKey } = kind === 'ec' ? generateKeyPairSync('ec', { namedCurve: 'P-256' }) : generateKeyPairSync('ed25519');
  const file = join(directory, `${Math.random()}.pem`);
  await writeFile(file, privateKey.export({ type: 'pkcs8', format: 'pem' }));
  return createJwtProvider({
    name: 'tokens',
    deploymentId: 'test',
    config: { type: 'jwt', issuer: 'https://mayfly.test', signing_key_files: [file, ...further] },
    credentials: {
      plain: { kind: 'jwt', provider: 'tokens', owner: 'o', audience: 'https://api.test', introspection_required: false, transaction_token: false, params: {} },
      reference: { kind: 'jwt', provider: 'tokens', owner: 'o', audience: 'https://api.test', introspection_required: true, transaction_token: false, params: {} },
    },
  });
}

for (const credential of ['plain', 'reference']) {
  describeProviderContract(`jwt, ${credential}`, async () => {
    const tokens = await provider();
    return {
      provider: tokens,
      credential,
      endsElsewhere: true,
      works: ({ secret }) => Promise.resolve(tokens.read(secret['token']?.expose() ?? '') !== undefined),
      stop: () => tokens.close(),
    };
  });
}

describe('a signed token', () => {
  it.each(['ec', 'ed25519'] as const)('verifies with the published %s key, which is named by its thumbprint', async (kind) => {
    const tokens = await provider(kind);
    const intent = intentFor({ provider: tokens, credential: 'plain' });
    const { secret } = await tokens.mint(intent);
    const [jwk] = tokens.jwks();
    const { payload, protectedHeader } = await jwtVerify(secret['token']?.expose() ?? '', createLocalJWKSet({ keys: [{ ...jwk }] }), { issuer: 'https://mayfly.test', audience: 'https://api.test' });
    expect(payload).toMatchObject({ sub: 'agent:refunds', jti: intent.id, txn: intent.taskId, purpose: 'refund-investigation' });
    expect(protectedHeader).toMatchObject({ typ: 'at+jwt', kid: await calculateJwkThumbprint({ ...jwk }) });
    expect(JSON.stringify(jwk)).not.toContain('"d"');
  });

  it('is not ours when a character is changed, or somebody else signed it', async () => {
    const [ours, theirs] = await Promise.all([provider(), provider()]);
    const { secret } = await theirs.mint(intentFor({ provider: theirs, credential: 'plain' }));
    const token = secret['token']?.expose() ?? '';
    expect(theirs.read(token)).toBeDefined();
    expect(ours.read(token)).toBeUndefined();
    const [header = '', payload = '', signature = ''] = token.split('.');
    const changed = Buffer.from(Buffer.from(payload, 'base64url').toString().replace('agent:refunds', 'agent:payouts')).toString('base64url');
    expect(theirs.read(`${header}.${changed}.${signature}`)).toBeUndefined();
    expect(theirs.read(`${token}.x`)).toBeUndefined();
  });
});

describe('a reference', () => {
  it('belongs to its own lease alone, and cannot be guessed from what is kept', async () => {
    const tokens = await provider();
    const [one, two] = [intentFor({ provider: tokens, credential: 'reference' }), intentFor({ provider: tokens, credential: 'reference' })];
    const [first, second] = await Promise.all([tokens.mint(one), tokens.mint(two)]);
    const lease = (intent: typeof one, { handle, targetExpiresAtMs }: typeof first) =>
      transition(intendedLease(intent), { type: 'activated', atMs: intent.createdAtMs, handle, targetExpiresAtMs, lapsesAtMs: targetExpiresAtMs });
    const presented = tokens.read(first.secret['token']?.expose() ?? '');
    expect(presented?.leaseId).toBe(one.id);
    expect(presented?.belongsTo(lease(one, first))).toBe(true);
    expect(presented?.belongsTo(lease(two, second))).toBe(false);
    const guessed = tokens.read(`mfr_${one.id}_${'A'.repeat(43)}`);
    expect(guessed?.belongsTo(lease(one, first))).toBe(false);
  });
});

describe('a key file', () => {
  it.each([
    ['that is not a key', 'hello', 'does not hold a PEM private key'],
    ['with RSA', generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), 'must hold a P-256 or an Ed25519 key'],
    ['with another curve', generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), 'must hold a P-256 or an Ed25519 key'],
  ])('%s is refused by name', async (_name, content, message) => {
    const file = join(directory, 'bad.pem');
    await writeFile(file, content);
    await expect(provider('ec', [file])).rejects.toThrow(message);
    await expect(provider('ec', [file])).rejects.toThrow(file);
  });
});
