import type { PolicyJson } from '@cedar-policy/cedar-wasm/nodejs';
import { compilePolicies, type PolicySources } from './compile-policies.ts';
import type { PolicyAction } from './decision.ts';
import { parsePolicies, type NamedPolicy, type PolicySource } from './parse-policies.ts';
import { PolicyError } from './policy-error.ts';

/** Something to mend in a policy folder. An error keeps the set from coming into force, a warning does not. */
export interface LintFinding {
  readonly level: 'error' | 'warning';
  readonly file: string;
  readonly line: number | null;
  readonly policy: string | null;
  readonly detail: string;
}

/** What is wrong with a set, file by file, and what is doubtful in it. Empty for a clean one. */
export function lintPolicies(sources: PolicySources): LintFinding[] {
  const parsed = sources.policies.map(parsing);
  const named = parsed.flatMap(({ policies }) => policies);
  const faults = parsed.flatMap(({ fault }) => (fault === undefined ? [] : [fault]));
  // Policies are judged together: only once each file can be read does that say anything.
  return [...(faults.length > 0 ? faults : compiling(sources)), ...named.flatMap(doubts)];
}

function parsing(source: PolicySource): { readonly policies: readonly NamedPolicy[]; readonly fault?: LintFinding } {
  try {
    return { policies: parsePolicies(source) };
  } catch (error) {
    return { policies: [], fault: findingOf(error, source.file) };
  }
}

function compiling(sources: PolicySources): LintFinding[] {
  try {
    compilePolicies(sources);
    return [];
  } catch (error) {
    return [findingOf(error, sources.schema.file)];
  }
}

function findingOf(error: unknown, file: string): LintFinding {
  if (!(error instanceof PolicyError)) throw error;
  const prefix = error.message.indexOf(': ');
  return { level: 'error', file: error.file || file, line: error.line, policy: error.policy, detail: error.message.slice(prefix + 2) };
}

function doubts({ id, file, line, text, json }: NamedPolicy): LintFinding[] {
  const warn = (detail: string): LintFinding => ({ level: 'warning', file, line, policy: id, detail });
  const found: LintFinding[] = [];
  if (json.effect === 'forbid' && json.annotations?.['deny_reason'] === undefined) found.push(warn('has no @deny_reason: whoever it stops learns only the decision id'));
  if (json.effect === 'permit') {
    if (isOpen(json.principal) && !mentions(text, 'principal')) found.push(warn('permits every agent: name who it is for'));
    // To extend needs a credential that was minted, and what is declared for another is decided again when that one claims it.
    if (appliesTo(json, ['mint', 'delegate']) && isOpen(json.resource) && !mentions(text, 'resource')) found.push(warn('permits every credential: name which'));
    if (!text.includes('context.purpose')) found.push(warn('permits every purpose: compare context.purpose'));
    if (/context\.operations\.contains(All|Any)?\(/.test(text)) found.push(warn('asks operations for `contains` in a permit, which lets more operations in: compare with =='));
    if (/context\.claims\.contains/.test(text)) found.push(warn("permits on claims, which are the declarer's own word: let them narrow, never permit"));
    if (!/context has for_agent/.test(text) && appliesTo(json, ['declare_for', 'delegate'])) found.push(warn('permits declare_for or delegate for any agent: compare context.for_agent'));
  }
  return found;
}

const isOpen = (clause: PolicyJson['principal'] | PolicyJson['resource']): boolean => clause.op === 'All';
/** Whether the conditions speak of it; the head always does. */
const mentions = (text: string, word: string): boolean => /\bwhen\b|\bunless\b/.test(text) && new RegExp(`\\b${word}\\b`).test(text.slice(text.search(/\bwhen\b|\bunless\b/)));

/** Whether a policy can apply to one of these actions. */
function appliesTo({ action }: PolicyJson, actions: readonly PolicyAction[]): boolean {
  if (action.op === 'All') return true;
  const entities = 'entities' in action ? action.entities : 'entity' in action ? [action.entity] : [];
  return entities.some((entity) => (actions as readonly string[]).includes('__entity' in entity ? entity.__entity.id : entity.id));
}
