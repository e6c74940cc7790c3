import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import { z } from 'zod';

/** A name in the configuration, which is also one at targets and in metrics. */
export const name = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,62}$/, 'lower-case letters, digits and hyphens, starting with a letter, at most 63');
export const filePath = z.string().min(1).describe('path of a file, relative to the configuration file');
export const httpUrl = z.url({ protocol: /^https?$/, error: 'an http or https URL' }).meta({ pattern: '^https?://' });
/** An IP address, or a network of them. */
export const network = z.string().refine((text) => isIP(text) !== 0 || ipaddr.isValidCIDR(text), 'an address, or a network such as 10.0.0.0/8');
/** Whole seconds within bounds. */
export const seconds = (min: number, max: number) => z.int().min(min).max(max);

export const roleArn = z.string().regex(/^arn:aws[a-z-]*:iam::\d{12}:role\/[\w+=,.@/-]{1,512}$/, 'the ARN of an IAM role');

/** What an action can do harm with, least first. */
export const RISKS = ['low', 'medium', 'high', 'critical'] as const;
export type Risk = (typeof RISKS)[number];
/** JWS algorithms that may be allowed; `none` and HMAC can never be listed (RFC 8725 section 3.1). */
const SIGNATURE_ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'] as const;
export const signatureAlgorithms = z.array(z.enum(SIGNATURE_ALGORITHMS)).min(1).default(['ES256']).describe('signature algorithms that are accepted, and no others');
