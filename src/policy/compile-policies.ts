import cedar from '@cedar-policy/cedar-wasm/nodejs';
import type { PolicyJson } from '@cedar-policy/cedar-wasm/nodejs';
import { digestOf } from '../core/canonical-json.ts';
import type { PolicyAction, Vocabulary } from './decision.ts';
import { PolicyError } from './policy-error.ts';

export interface PolicySource {
  readonly file: string;
  readonly text: string;
}

export interface PolicySources {
  readonly schema: PolicySource;
  readonly policies: readonly PolicySource[];
}

/** A policy set that has been validated against its schema and can be asked. */
export interface CompiledPolicies {
  readonly version: string;
  readonly vocabulary: Vocabulary;
  readonly schemaText: string;
  /** Policies by id, for each action only those that can apply to it: Cedar looks at every policy it is given. */
  readonly byAction: ReadonlyMap<PolicyAction, Readonly<Record<string, string>>>;
  /** Published reasons by policy id. */
  readonly denyReasons: ReadonlyMap<string, string>;
}

export const POLICY_ACTIONS: readonly PolicyAction[] = ['mint', 'declare_for', 'delegate', 'extend'];
export const NAMESPACE = 'Mayfly';

interface NamedPolicy {
  readonly id: string;
  readonly file: string;
  /** As written: through JSON, a large number in a policy would lose digits. */
  readonly text: string;
  /** For its annotations, effect and action alone. */
  readonly json: PolicyJson;
}

/**
 * Compiles a policy set. Each policy needs an `@id` of its own, and the whole set must validate against the schema
 * without an error or a warning: a mistake in a policy must stop here, not at the first request. Throws `PolicyError`.
 */
export function compilePolicies(sources: PolicySources): CompiledPolicies {
  const vocabulary = vocabularyOf(sources.schema);
  const named = sources.policies.flatMap(namedPolicies);
  const seen = new Map<string, string>();
  for (const { id, file } of named) {
    const other = seen.get(id);
    if (other !== undefined) throw new PolicyError(file, id, `has an @id that is already used in ${other}`);
    seen.set(id, file);
  }
  if (named.length === 0) throw new PolicyError(sources.schema.file, null, 'there is no policy beside the schema');
  validate(sources.schema, named);
  return {
    version: digestOf([sources.schema.text, [...named].sort((a, b) => (a.id < b.id ? -1 : 1)).map(({ id, text }) => [id, text])]),
    vocabulary,
    schemaText: sources.schema.text,
    byAction: new Map(
      POLICY_ACTIONS.map((action) => [action, Object.fromEntries(named.filter(({ json }) => appliesTo(json, action)).map(({ id, text }) => [id, text]))]),
    ),
    denyReasons: new Map(
      named.flatMap(({ id, json }) => {
        const reason = json.annotations?.['deny_reason'];
        return typeof reason === 'string' && json.effect === 'forbid' ? [[id, reason]] : [];
      }),
    ),
  };
}

function namedPolicies({ file, text }: PolicySource): NamedPolicy[] {
  const parts = cedar.policySetTextToParts(text);
  if (parts.type === 'failure') throw new PolicyError(file, null, messages(parts.errors, text));
  if (parts.policy_templates.length > 0) throw new PolicyError(file, null, 'templates are not supported; write the policy out');
  return parts.policies.map((part, index) => {
    const parsed = cedar.policyToJson(part);
    if (parsed.type === 'failure') throw new PolicyError(file, null, messages(parsed.errors, part));
    const id = parsed.json.annotations?.['id'];
    if (typeof id !== 'string' || !/^[a-z][a-z0-9-]{0,127}$/.test(id)) {
      throw new PolicyError(file, null, `policy ${index + 1} needs an @id("...") of lower-case letters, digits and hyphens`);
    }
    return { id, file, text: part, json: parsed.json };
  });
}

function validate(schema: PolicySource, named: readonly NamedPolicy[]): void {
  const answer = cedar.validate({ schema: schema.text, policies: { staticPolicies: Object.fromEntries(named.map(({ id, text }) => [id, text])) } });
  if (answer.type === 'failure') throw new PolicyError(schema.file, null, messages(answer.errors, schema.text));
  const [first] = [...answer.validationErrors, ...answer.validationWarnings];
  if (first !== undefined) {
    const file = named.find(({ id }) => id === first.policyId)?.file ?? schema.file;
    throw new PolicyError(file, first.policyId, first.error.message);
  }
  const [other] = answer.otherWarnings;
  if (other !== undefined) throw new PolicyError(schema.file, null, other.message);
}

/** The closed lists, read from the schema's enumerated entities, so that they stand in one place. */
function vocabularyOf(schema: PolicySource): Vocabulary {
  const answer = cedar.schemaToJson(schema.text);
  if (answer.type === 'failure') throw new PolicyError(schema.file, null, messages(answer.errors, schema.text));
  const types = answer.json[NAMESPACE]?.entityTypes ?? {};
  const words = (type: string): ReadonlySet<string> => {
    const entity = types[type];
    if (entity === undefined || !('enum' in entity)) throw new PolicyError(schema.file, null, `needs an enumerated entity ${NAMESPACE}::${type}`);
    return new Set(entity.enum);
  };
  return { purposes: words('Purpose'), actions: words('Operation'), dataClasses: words('DataClass') };
}

/** Whether a policy's action clause can match an action. */
function appliesTo(policy: PolicyJson, action: PolicyAction): boolean {
  const clause = policy.action;
  if (clause.op === 'All') return true;
  const named = 'entities' in clause ? clause.entities : 'entity' in clause ? [clause.entity] : [];
  return named.some((entity) => ('__entity' in entity ? entity.__entity.id : entity.id) === action);
}

function messages(errors: readonly { readonly message: string; readonly sourceLocations?: readonly { readonly start: number }[] }[], text: string): string {
  return errors
    .map(({ message, sourceLocations }) => {
      const start = sourceLocations?.[0]?.start;
      return start === undefined ? message : `line ${text.slice(0, start).split('\n').length}: ${message}`;
    })
    .join('; ');
}
