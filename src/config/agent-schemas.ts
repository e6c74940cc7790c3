import { z } from 'zod';

/** The same words as in a declaration; which of them exist is policy's to say. */
const purpose = z.string().regex(/^[a-z][a-z0-9_.-]{0,63}$/, 'lower-case letters, digits, `-`, `_` and `.`, at most 64, starting with a letter');
const unique = (items: readonly unknown[]): boolean => new Set(items).size === items.length;
const line = (max: number) => z.string().max(max).regex(/^[^\u0000-\u001f\u007f-\u009f]*$/u, 'no control characters');

/** What is said of an agent, in the configuration and by the API alike. */
export const agentFields = {
  owner: line(200).min(1).describe('the person or team that answers for it'),
  purposes: z.array(purpose).min(1).max(64).refine(unique, 'no purpose twice').meta({ uniqueItems: true }).describe('what it may be used for, out of the purposes of the policy schema'),
  environments: z.array(z.enum(['production', 'development'])).max(2).refine(unique, 'no environment twice').meta({ uniqueItems: true }).default([]).describe('where it may be used; empty: nothing is said'),
  review_by: z.iso.date('a date, as 2027-01-31').describe('the last day, in UTC, on which the registration counts as reviewed'),
  description: line(500).optional().describe('what it is, for people'),
};

/** Who an agent is. */
export const agentIdentity = {
  issuer: z.string().min(1).max(2_048).optional().describe('who vouches for it: an issuer or a trust domain as `spiffe://<name>`; that of the SPIFFE ID where not given'),
  subject: z.string().min(1).max(2_048).describe('as its token says: a `sub`, or a SPIFFE ID'),
};

/** An agent of the configuration. */
export const registeredAgent = z.strictObject({ ...agentIdentity, ...agentFields }).describe('an agent and who answers for it');
