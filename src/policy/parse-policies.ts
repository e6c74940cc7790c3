import type { DetailedError, PolicyJson } from '@cedar-policy/cedar-wasm/nodejs';
import { withUnproven } from './cedar-wasm.ts';
import { PolicyError } from './policy-error.ts';

export interface PolicySource {
  readonly file: string;
  readonly text: string;
}

/** One policy, with the name that its author gave it. */
export interface NamedPolicy {
  readonly id: string;
  readonly file: string;
  /** Where it begins in its file. */
  readonly line: number;
  /** As written: through JSON, a large number in a policy would lose digits. */
  readonly text: string;
  /** For its annotations, effect and action alone. */
  readonly json: PolicyJson;
}

const ID = /^[a-z][a-z0-9-]{0,127}$/;

/**
 * The policies of one file, each under its `@id`. Cedar by itself would number the policies of a text, and a decision
 * would then name another policy after the next edit. Throws `PolicyError`.
 */
export function parsePolicies({ file, text }: PolicySource): NamedPolicy[] {
  refuseHalfCharacters({ file, text });
  const parts = withUnproven(file, (cedar) => cedar.policySetTextToParts(text));
  if (parts.type === 'failure') throw cedarFault(parts.errors, { file, text });
  if (parts.policy_templates.length > 0) throw new PolicyError({ file }, 'templates are not supported; write the policy out');
  return inOrder(text, parts.policies).map(({ part, line }) => {
    const parsed = withUnproven(file, (cedar) => cedar.policyToJson(part));
    if (parsed.type === 'failure') throw cedarFault(parsed.errors, { file, text: part }, line);
    const id = parsed.json.annotations?.['id'];
    if (typeof id !== 'string' || !ID.test(id)) {
      throw new PolicyError({ file, line }, 'the policy needs an @id("...") of lower-case letters, digits and hyphens, starting with a letter');
    }
    return { id, file, line, text: part, json: parsed.json };
  });
}

/** A draft comes as JSON, which can hold half of a surrogate pair; Cedar throws at it. Throws `PolicyError`. */
export function refuseHalfCharacters({ file, text }: PolicySource): void {
  if (text.isWellFormed()) return;
  throw new PolicyError({ file, line: lineOf(text, text.search(/\p{Surrogate}/u)) }, 'holds half of a surrogate pair, which is no character: expected Unicode text');
}

/** The slices of a text in its order, with their lines. Cedar cuts them out, but does not say where they were. */
function inOrder(text: string, parts: readonly string[]): { readonly part: string; readonly line: number }[] {
  const found: { part: string; line: number }[] = [];
  const left = new Set(parts.map((part) => ({ part, start: -1 })));
  for (let from = 0; left.size > 0; ) {
    // Looked for again only where its place is taken by now: else a set of hundreds would be read through hundreds of times for each.
    for (const one of left) if (one.start < from) one.start = Math.max(from, text.indexOf(one.part, from));
    // What begins first comes next: a shorter slice can also occur inside a longer one, but not before it.
    const next = [...left].reduce((first, other) => (other.start < first.start ? other : first));
    left.delete(next);
    found.push({ part: next.part, line: lineOf(text, next.start) });
    from = next.start + next.part.length;
  }
  return found;
}

/** Cedar's first complaint about a text, with its line. `firstLine` is where the text begins in its file. */
export function cedarFault(errors: readonly DetailedError[], { file, text }: PolicySource, firstLine = 1, policy?: string): PolicyError {
  const first = errors[0];
  const start = first?.sourceLocations?.[0]?.start;
  // Cedar counts bytes of UTF-8.
  const line = start === undefined ? undefined : firstLine - 1 + lineOf(Buffer.from(text).subarray(0, start).toString());
  const help = first?.help ?? null;
  return new PolicyError({ file, line, policy }, `${first?.message ?? 'Cedar refuses it'}${help === null ? '' : ` (${help})`}`);
}

const lineOf = (text: string, end = text.length): number => text.slice(0, end).split('\n').length;
