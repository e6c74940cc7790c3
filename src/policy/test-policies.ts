import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseDocument } from 'yaml';
import { z } from 'zod';
import type { PolicyEngine } from './decision.ts';
import { credentialFacts, policyAsk, questionOf, type CredentialFacts } from './policy-ask.ts';
import { PolicyError } from './policy-error.ts';

const RESULTS = ['permit', 'deny', 'approval_required'] as const;

const testFile = z.strictObject({
  /** What the credentials of the cases are; the plainest kind where one is not listed. */
  credentials: z.record(z.string(), credentialFacts).default({}),
  cases: z
    .array(
      z.strictObject({
        name: z.string().min(1),
        ask: policyAsk,
        expect: z.enum(RESULTS),
        /** The policies that must have decided, all of them. */
        policies: z.array(z.string()).optional(),
        /** The reasons that must be published, all of them. */
        reasons: z.array(z.string()).optional(),
      }),
    )
    .min(1),
});

export interface PolicyTestResult {
  readonly file: string;
  readonly name: string;
  readonly ok: boolean;
  readonly expected: string;
  readonly actual: string;
  /** The policies that decided. */
  readonly policies: readonly string[];
  /** What differs, in words; empty when nothing does. */
  readonly differences: readonly string[];
}

/** Where a folder's cases are: below it, so that nothing there is ever loaded as a policy. */
export const testFilesOf = (directory: string): string[] => {
  try {
    const folder = join(directory, 'tests');
    return readdirSync(folder).filter((name) => /\.ya?ml$/.test(name)).sort().map((name) => join(folder, name));
  } catch {
    return [];
  }
};

/** Asks an engine every case of a file. Throws `PolicyError` for a file that is no list of cases: where, and what was expected. */
export function testPolicies(engine: PolicyEngine, file: string): PolicyTestResult[] {
  const { credentials, cases } = readCases(file);
  return cases.map(({ name, ask, expect, policies, reasons }) => {
    const facts: CredentialFacts = credentials[ask.credential] ?? credentialFacts.parse({});
    const decision = engine.decide(questionOf(ask, facts));
    const differences = [
      ...(decision.result === expect ? [] : [`expected ${expect}, got ${decision.result}`]),
      ...(decision.fault === null ? [] : [`fault: ${decision.fault}`]),
      ...differs('policies', policies, decision.policies),
      ...differs('reasons', reasons, decision.reasons),
    ];
    return { file, name, ok: differences.length === 0, expected: expect, actual: decision.result, policies: decision.policies, differences };
  });
}

function differs(what: string, expected: readonly string[] | undefined, actual: readonly string[]): string[] {
  if (expected === undefined || [...expected].sort().join('\n') === [...actual].sort().join('\n')) return [];
  return [`expected ${what} ${list(expected)}, got ${list(actual)}`];
}

const list = (words: readonly string[]): string => (words.length === 0 ? 'none' : words.join(', '));

function readCases(file: string): z.infer<typeof testFile> {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    throw new PolicyError({ file }, 'cannot be read');
  }
  const document = parseDocument(text);
  const [fault] = document.errors;
  if (fault !== undefined) throw new PolicyError({ file, line: fault.linePos?.[0].line }, fault.message.split('\n')[0] ?? 'is not YAML');
  const result = testFile.safeParse(document.toJS());
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw new PolicyError({ file }, `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'is not a list of cases'}`);
}
