import { z } from 'zod';
import { filePath, httpUrl, signatureAlgorithms } from './config-words.ts';

const transmitter = z.strictObject({
  issuer: httpUrl.describe('compared byte for byte with `iss`'),
  audience: z.string().min(1).describe('what its security event tokens must carry in `aud`'),
  algorithms: signatureAlgorithms.unwrap().default(['RS256']).describe('signature algorithms that are accepted, and no others'),
  jwks_uri: httpUrl.optional().describe('where its keys are; found by `/.well-known/ssf-configuration` of the issuer when absent'),
  speaks_for: z.array(z.string().min(1)).default([]).describe('issuers and trust domains (`spiffe://example.org`), besides itself, of whose agents and persons it may say that a session was revoked'),
  ca_file: filePath.optional().describe('PEM certificates to trust for it instead of the system store'),
});

/** Whose signals are heeded. */
export const signals = z
  .strictObject({ transmitters: z.array(transmitter).max(16).default([]).describe('who may send security event tokens to `POST /v1/security-events`') })
  .prefault({})
  .describe('signals from identity providers (SSF, CAEP) that end tasks');
