import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import fc from '../support/fast-check.ts';
import { JwksSource } from '../../src/identity/jwks-source.ts';
import { ManualClock } from '../support/manual-clock.ts';

const numbered = (prefix: string, last: number): string[] => Array.from({ length: last }, (_, index) => `${prefix}-${index + 1}`);
const REQUIRED = [...numbered('OI', 6), ...numbered('K8', 5), ...numbered('GH', 4), ...numbered('DPoP', 12)];

describe('what a verifier of OpenID Connect tokens and DPoP proofs must do', () => {
  it.each(REQUIRED)('%s has a test of that name', (id) => {
    const files = readdirSync(import.meta.dirname, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.test.ts') && !file.startsWith('requirement-ids'));
    expect(files.some((file) => new RegExp(`['"\`]${id}: `).test(readFileSync(join(import.meta.dirname, file), 'utf8')))).toBe(true);
  });
});

describe('malformed keys of an issuer', () => {
  it('never give a key, never crash, and are told where they are of no use', async () => {
    const member = fc.oneof(fc.constantFrom('EC', 'P-256', 'RSA', 'AQAB', 'sig', 'ES256', 'k'), fc.jsonValue());
    const key = fc.oneof(fc.dictionary(fc.constantFrom('kty', 'crv', 'x', 'y', 'n', 'e', 'd', 'kid', 'use', 'alg'), member), fc.jsonValue());
    const set = fc.oneof(fc.string(), fc.jsonValue().map((value) => JSON.stringify(value)), fc.array(key, { maxLength: 5 }).map((keys) => JSON.stringify({ keys })));
    await fc.assert(
      fc.asyncProperty(set, async (published) => {
        const warned: string[] = [];
        const issuer = 'https://issuer.test';
        const fetch = (url: string) => Promise.resolve({ status: 200, headers: {}, body: url.endsWith('/jwks') ? published : JSON.stringify({ issuer, jwks_uri: `${issuer}/jwks` }) });
        const source = new JwksSource(issuer, { fetch, clock: new ManualClock(), log: { warn: (_fields, message) => warned.push(message) } });
        const found: unknown = await source.keyFor('k', 'ES256').catch((error: unknown) => error);
        if (found !== undefined) expect(found).toMatchObject({ code: 'identity_unavailable' });
        expect(warned).toHaveLength(found === undefined ? 0 : 1);
      }),
      { numRuns: 300 },
    );
  });
});
