import type { PolicyJson, SchemaJson } from '@cedar-policy/cedar-wasm/nodejs';
import { digestOf } from '../core/canonical-json.ts';
import { epochMsFrom } from '../core/time.ts';
import { NAMESPACE, requestFor } from './cedar-request.ts';
import { withUnproven } from './cedar-wasm.ts';
import type { PolicyAction, Vocabulary } from './decision.ts';
import { cedarFault, parsePolicies, refuseHalfCharacters, type NamedPolicy, type PolicySource } from './parse-policies.ts';
import { PolicyError } from './policy-error.ts';

export interface PolicySources {
  readonly schema: PolicySource;
  readonly policies: readonly PolicySource[];
}

/** A policy set that has been validated against its schema and can be asked. */
export interface CompiledPolicies {
  readonly version: string;
  readonly vocabulary: Vocabulary;
  readonly schemaText: string;
  /** Every policy as written, by id. */
  readonly texts: ReadonlyMap<string, string>;
  readonly effects: ReadonlyMap<string, 'permit' | 'forbid'>;
  /** Policies by id, for each action only those that can apply to it: Cedar looks at every policy it is given. */
  readonly byAction: ReadonlyMap<PolicyAction, Readonly<Record<string, string>>>;
  /** Published reasons by policy id. */
  readonly denyReasons: ReadonlyMap<string, string>;
}

export const POLICY_ACTIONS: readonly PolicyAction[] = ['mint', 'declare_for', 'delegate', 'extend'];

/**
 * Compiles a policy set. Each policy needs an `@id` of its own, the whole set must validate against the schema without
 * an error or a warning, and the schema must take the questions that Mayfly asks: a mistake must stop here, not at the
 * first request. Throws `PolicyError`.
 *
 * @param most policies that the set may hold.
 */
export function compilePolicies(sources: PolicySources, most = Infinity): CompiledPolicies {
  const schema = parseSchema(sources.schema);
  const vocabulary = vocabularyOf(sources.schema, schema);
  const named = sources.policies.flatMap(parsePolicies);
  if (named.length === 0) throw new PolicyError({ file: sources.schema.file }, 'there is no policy beside the schema');
  if (named.length > most) throw new PolicyError({ file: sources.schema.file }, `there are ${named.length} policies, and may be ${most} here`);
  refuseDuplicates(named);
  validate(sources.schema, named);
  refuseMisfit(sources.schema, vocabulary);
  return {
    texts: new Map(named.map(({ id, text }) => [id, text])),
    effects: new Map(named.map(({ id, json }) => [id, json.effect])),
    version: digestOf([sources.schema.text, named.map(({ id, text }) => [id, text]).toSorted(([a = ''], [b = '']) => (a < b ? -1 : 1))]),
    vocabulary,
    schemaText: sources.schema.text,
    byAction: partition(named, schema),
    denyReasons: new Map(
      named.flatMap(({ id, json }) => {
        const reason = json.annotations?.['deny_reason'];
        return typeof reason === 'string' && json.effect === 'forbid' ? [[id, reason]] : [];
      }),
    ),
  };
}

function parseSchema(schema: PolicySource): SchemaJson<string> {
  refuseHalfCharacters(schema);
  const answer = withUnproven(schema.file, (cedar) => cedar.schemaToJson(schema.text));
  if (answer.type === 'failure') throw cedarFault(answer.errors, schema);
  return answer.json;
}

/** The closed lists, read from the schema's enumerated entities, so that they stand in one place. */
function vocabularyOf({ file }: PolicySource, schema: SchemaJson<string>): Vocabulary {
  const types = schema[NAMESPACE]?.entityTypes ?? {};
  const words = (type: string): ReadonlySet<string> => {
    const entity = types[type];
    if (entity === undefined || !('enum' in entity)) throw new PolicyError({ file }, `needs an enumerated entity ${NAMESPACE}::${type}`);
    return new Set(entity.enum);
  };
  return { purposes: words('Purpose'), actions: words('Operation'), dataClasses: words('DataClass') };
}

function refuseDuplicates(named: readonly NamedPolicy[]): void {
  const seen = new Map<string, NamedPolicy>();
  for (const policy of named) {
    const other = seen.get(policy.id);
    if (other !== undefined) throw new PolicyError({ ...placeOf(policy) }, `has an @id that is already used in ${other.file}, line ${other.line}`);
    seen.set(policy.id, policy);
  }
}

function validate(schema: PolicySource, named: readonly NamedPolicy[]): void {
  const policies = { staticPolicies: Object.fromEntries(named.map(({ id, text }) => [id, text])) };
  const answer = withUnproven(schema.file, (cedar) => cedar.validate({ schema: schema.text, policies }));
  if (answer.type === 'failure') throw cedarFault(answer.errors, schema);
  const [first] = [...answer.validationErrors, ...answer.validationWarnings];
  if (first !== undefined) {
    const policy = named.find(({ id }) => id === first.policyId);
    throw cedarFault([first.error], policy ?? schema, policy?.line, first.policyId);
  }
  if (answer.otherWarnings.length > 0) throw cedarFault(answer.otherWarnings, schema);
}

/** A schema may have words added. With a field renamed, or a new one required, every request would be refused. */
function refuseMisfit(schema: PolicySource, vocabulary: Vocabulary): void {
  for (const action of POLICY_ACTIONS) {
    for (const optional of [{ ticket: null, vouchedBy: null, subject: null, tool: null }, { ticket: 'T-1', forAgent: 'a', vouchedBy: 'o', subject: 's', tool: 't' }]) {
      const request = requestFor({
        action,
        principal: { issuer: '', subject: '' },
        agentFacts: { registered: true, owner: '', purposes: [...vocabulary.purposes], environments: [''], reviewOverdue: false },
        credential: { name: '', provider: '', kind: '', revocability: 'exact', owner: '' },
        purpose: [...vocabulary.purposes][0] ?? '',
        actions: [...vocabulary.actions],
        dataClasses: [...vocabulary.dataClasses],
        evidence: 'self_declared',
        approvals: 0,
        risk: 0,
        ...optional,
        params: { name: 'value' },
        context: { name: 'value' },
        ttlSeconds: 1,
        delegationDepth: 0,
        delegationChain: [''],
        touched: [...vocabulary.dataClasses],
        environment: '',
        senderBound: false,
        liveLeases: 0,
        grantsLastHour: 0,
        purposeGrantsLastHour: 0,
        denialsInARow: 0,
        nowMs: epochMsFrom(0),
      });
      const answer = withUnproven(schema.file, (cedar) => cedar.isAuthorized({ ...request, policies: { staticPolicies: {} }, schema: schema.text, validateRequest: true }));
      if (answer.type === 'failure') {
        throw new PolicyError({ file: schema.file }, `does not take what Mayfly asks for ${action}: ${answer.errors[0]?.message ?? 'refused'}`);
      }
    }
  }
}

/** Throws `PolicyError` for a policy that would be in no part: a forbid that is never looked at forbids nothing. */
function partition(named: readonly NamedPolicy[], schema: SchemaJson<string>): CompiledPolicies['byAction'] {
  const parts = POLICY_ACTIONS.map((action) => {
    const names = namesOf(action, schema);
    return [action, named.filter(({ json }) => appliesTo(json, names))] as const;
  });
  const placed = new Set(parts.flatMap(([, policies]) => policies));
  const idle = named.find((policy) => !placed.has(policy));
  if (idle !== undefined) throw new PolicyError(placeOf(idle), `applies to no action that Mayfly asks about (${POLICY_ACTIONS.join(', ')})`);
  return new Map(parts.map(([action, policies]) => [action, Object.fromEntries(policies.map(({ id, text }) => [id, text]))]));
}

/**
 * An action and every group that it is in: a policy on a group is a policy on each member. By name, whatever the
 * namespace: one policy too many costs microseconds, since Cedar looks again; one too few could be a forbid.
 */
function namesOf(action: string, schema: SchemaJson<string>): ReadonlySet<string> {
  const names = new Set([action]);
  // A set also visits what is added on the way.
  for (const name of names) {
    for (const { actions } of Object.values(schema)) {
      for (const group of (Object.hasOwn(actions, name) ? actions[name]?.memberOf : undefined) ?? []) names.add(group.id);
    }
  }
  return names;
}

function appliesTo({ action: clause }: PolicyJson, names: ReadonlySet<string>): boolean {
  if (clause.op === 'All') return true;
  const named = 'entities' in clause ? clause.entities : 'entity' in clause ? [clause.entity] : [];
  return named.some((entity) => names.has('__entity' in entity ? entity.__entity.id : entity.id));
}

const placeOf = ({ file, line, id }: NamedPolicy): { file: string; line: number; policy: string } => ({ file, line, policy: id });
