import { z } from 'zod';
import { Problem, type FieldFault } from '../core/problem.ts';
import { parse } from '../task/declaration.ts';
import type { CredentialCatalog } from './credential-catalog.ts';
import { evaluation, type Evaluation } from './evaluate-policy.ts';

/** Evaluations of one request: as many as a PEP that filters a page needs, and no more than half a second of Cedar. */
export const MAX_EVALUATIONS = 50;

const properties = z.record(z.string(), z.unknown()).optional();
const subject = z.object({ type: z.string().describe('`agent`'), id: z.string().describe('its subject, a SPIFFE ID for one'), properties: properties.describe('`issuer`: who vouches for it') });
const action = z.object({ name: z.string().describe('what policy is asked: `mint`, `declare_for`, `delegate` or `extend`'), properties: properties.describe('`actions`: what will be done with the credential') });
const resource = z.object({ type: z.string().describe('`credential`'), id: z.string().describe('the name of a configured credential'), properties: properties.describe("the credential's parameters") });
const context = z.record(z.string(), z.unknown()).optional().describe('members of `POST /v1/policy/evaluate`: `purpose` and `actions` at least; others are ignored');

/** AuthZEN Authorization API 1.0, section 6.1. What the standard does not know is ignored, as it demands. */
export const authzenRequest = z.object({ subject, action, resource, context }).meta({ id: 'AuthzenRequest', description: 'an access evaluation request of AuthZEN 1.0' });
export type AuthzenRequest = z.infer<typeof authzenRequest>;

const SEMANTICS = ['execute_all', 'deny_on_first_deny', 'permit_on_first_permit'] as const;
export type Semantics = (typeof SEMANTICS)[number];

/** A part of a request; a default may lack what each item then brings. */
const defaults = { subject: subject.partial().optional(), action: action.partial().optional(), resource: resource.partial().optional(), context };

/** Section 7.1. An item is judged when its turn comes: one that is wrong is denied, and spoils no other. */
export const authzenBatch = z
  .object({
    ...defaults,
    evaluations: z.array(z.unknown()).max(MAX_EVALUATIONS).optional().describe('each over what stands beside them; without any, the request is a single one'),
    options: z.object({ evaluations_semantic: z.enum(SEMANTICS).default('execute_all') }).optional(),
  })
  .meta({ id: 'AuthzenBatch', description: 'an access evaluations request of AuthZEN 1.0' });
export type AuthzenBatch = z.infer<typeof authzenBatch>;

/** Parses a request. Throws `invalid_evaluation`, a 400 as the standard has it, with a JSON Pointer for each fault. */
export const parseAuthzen = (body: unknown): AuthzenRequest => parseAs400(authzenRequest, body);
export const parseAuthzenBatch = (body: unknown): AuthzenBatch => parseAs400(authzenBatch, body);

function parseAs400<T>(schema: z.ZodType<T>, body: unknown): T {
  try {
    return parse(schema, body);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    throw new Problem('invalid_evaluation', error.message, { errors: error.errors });
  }
}

/**
 * One item of a batch as a request of its own: what it names replaces the default as a whole, but for a `type`, `id` or `name`
 * that it leaves out (section 7.1.1).
 */
export function itemRequest(item: unknown, batch: AuthzenBatch): AuthzenRequest {
  const own = z.object(defaults).safeParse(item).data;
  // What is wrong in its parts shall be named as what it is, not covered by a default.
  if (own === undefined) return parseAuthzen(typeof item === 'object' && item !== null && !Array.isArray(item) ? { ...batch, ...item } : item);
  const over = (key: 'subject' | 'action' | 'resource'): object | undefined => {
    const [general, special] = [batch[key], own[key]];
    return special === undefined ? general : { ...general, properties: undefined, ...special };
  };
  return parseAuthzen({ subject: over('subject'), action: over('action'), resource: over('resource'), context: own.context ?? batch.context });
}

/** What a context may say: all that an evaluation knows, but for what stands elsewhere in the request, and for drafts. */
const ELSEWHERE = new Set(['agent', 'agent_issuer', 'action', 'credentials', 'policies', 'schema', 'start', 'claim_ticket', 'heartbeat_seconds']);
const CONTEXT_MEMBERS = Object.keys(evaluation.shape).filter((key) => !ELSEWHERE.has(key));

/**
 * The evaluation that a request stands for, with its bounds. Throws `invalid_request` where it cannot be one; faults point into
 * the request.
 */
export function evaluationOf(request: AuthzenRequest, catalog: CredentialCatalog): Evaluation {
  const { subject, action, resource, context = {} } = request;
  if (subject.type !== 'agent') throw unknown('/subject/type', 'must be agent');
  if (resource.type !== 'credential') throw unknown('/resource/type', 'must be credential');
  const parameters = Object.keys(catalog.get(resource.id)?.config.params ?? {});
  try {
    return parse(evaluation, {
      ...pick(context, CONTEXT_MEMBERS),
      ...pick(action.properties, ['actions']),
      agent: subject.id,
      ...rename(subject.properties, 'issuer', 'agent_issuer'),
      action: action.name,
      credentials: [{ name: resource.id, params: pick(resource.properties, parameters) }],
    });
  } catch (error) {
    throw inItsWords(error, action.properties !== undefined && 'actions' in action.properties);
  }
}

/** A fault of an evaluation, pointed at where the request has it. */
export function inItsWords(error: unknown, actionsInProperties: boolean): unknown {
  if (!(error instanceof Problem) || error.code !== 'invalid_request') return error;
  const errors = error.errors.map(({ pointer, detail }) => ({ pointer: pointerOf(pointer, actionsInProperties), detail }));
  return new Problem('invalid_request', messageOf(errors), { errors });
}

const PLACES: readonly (readonly [evaluation: RegExp, request: string])[] = [
  [/^\/credentials\/0\/params/, '/resource/properties'],
  [/^\/credentials\/0\/name/, '/resource/id'],
  [/^\/credentials\/0\/ttl_seconds/, '/context/ttl_seconds'],
  [/^\/agent_issuer/, '/subject/properties/issuer'],
  [/^\/agent/, '/subject/id'],
  [/^\/action(?=\/|$)/, '/action/name'],
];

function pointerOf(pointer: string, actionsInProperties: boolean): string {
  if (actionsInProperties && /^\/actions(\/|$)/.test(pointer)) return `/action/properties${pointer}`;
  const place = PLACES.find(([pattern]) => pattern.test(pointer));
  return place === undefined ? `/context${pointer}` : pointer.replace(place[0], place[1]);
}

const messageOf = (errors: readonly FieldFault[]): string => errors.map(({ pointer, detail }) => `${pointer} ${detail}`).join('; ');
const unknown = (pointer: string, detail: string): Problem => new Problem('invalid_request', `${pointer} ${detail}`, { errors: [{ pointer, detail }] });

const pick = (from: Readonly<Record<string, unknown>> | undefined, keys: readonly string[]): Record<string, unknown> =>
  Object.fromEntries(keys.flatMap((key) => (from !== undefined && Object.hasOwn(from, key) ? [[key, from[key]]] : [])));

const rename = (from: Readonly<Record<string, unknown>> | undefined, key: string, to: string): Record<string, unknown> =>
  from !== undefined && Object.hasOwn(from, key) ? { [to]: from[key] } : {};
