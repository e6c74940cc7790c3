import { z } from 'zod';
import { compilePolicies, type CompiledPolicies } from '../policy/compile-policies.ts';
import type { PolicyEngine } from '../policy/decision.ts';
import { PolicyError } from '../policy/policy-error.ts';
import { invalidRequest } from '../task/declaration.ts';

/** Of one file of a draft: half of what a body may hold. */
const DRAFT_CHARACTERS = 32_768;
/** Of a whole draft. While Cedar reads and asks it, this process does nothing else: some hundreds of milliseconds. */
export const DRAFT_POLICIES = 200;

/** A draft set in a body, by file name, to ask in place of the one in force. */
export const draftShape = {
  policies: z.record(z.string().regex(/^[\w.-]{1,64}\.cedar$/, 'a file name that ends in .cedar'), z.string().max(DRAFT_CHARACTERS)).optional(),
  schema: z.string().max(DRAFT_CHARACTERS).optional(),
};

export interface Draft {
  readonly policies?: Readonly<Record<string, string>> | undefined;
  readonly schema?: string | undefined;
}

export const hasDraft = ({ policies, schema }: Draft): boolean => policies !== undefined || schema !== undefined;

/** An engine for a draft, by the schema in force where it brings none. Throws `invalid_request` for one that does not compile. */
export function draftEngine({ policies = {}, schema }: Draft, schemaInForce: string, engineOf: (compiled: CompiledPolicies) => PolicyEngine): PolicyEngine {
  try {
    const sources = Object.entries(policies).map(([file, text]) => ({ file, text }));
    return engineOf(compilePolicies({ schema: { file: 'schema.cedarschema', text: schema ?? schemaInForce }, policies: sources }, DRAFT_POLICIES));
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error;
    const pointer = Object.hasOwn(policies, error.file) ? `/policies/${error.file}` : schema === undefined ? '/policies' : '/schema';
    throw invalidRequest([{ pointer, detail: `must compile: ${error.message}` }]);
  }
}
