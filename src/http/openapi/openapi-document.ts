import { z } from 'zod';
import { PROBLEMS, type ProblemCode } from '../../core/problem.ts';
import type { CallerKind, Operation, OperationArea } from './operation.ts';
import { SESSION_COOKIE } from '../sign-in/cookies.ts';
import { oauthErrorsOf, problemsOf } from './operation.ts';
import { oauthErrorSchema, problemSchema } from './problem-schema.ts';

type Json = Readonly<Record<string, unknown>>;

/** The document's parts that the reference page reads. */
export interface OpenApiDocument extends Json {
  readonly openapi: '3.1.1';
  readonly info: { readonly title: string; readonly version: string; readonly description: string };
  readonly paths: Readonly<Record<string, Json>>;
  readonly components: { readonly schemas: Readonly<Record<string, Json>>; readonly headers: Json; readonly securitySchemes: Json };
}

const SECURITY_SCHEMES = {
  workloadToken: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT', description: 'a JWT-SVID or an OpenID Connect token of a workload, for the audience of the broker' },
  workloadCertificate: { type: 'mutualTLS', description: 'the X.509-SVID of a workload, without a token, at the TLS listener; beside a token it only shows that the certificate is there to which the token is bound (RFC 8705)' },
  operatorToken: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT', description: "a token of the operators' issuer" },
  session: { type: 'apiKey', in: 'cookie', name: SESSION_COOKIE, description: "of a person who signed in with a browser; changes also need `X-Mayfly-Request: dashboard`, from the broker's own page" },
  boundToken: { type: 'http', scheme: 'DPoP', description: 'either token, where it is bound to a key, with a proof for this very request in the header DPoP (RFC 9449)' },
};

/** Describes the areas as OpenAPI 3.1, whose schemas are JSON Schema 2020-12. Throws `TypeError` when an operation id is taken. */
export function openApiDocument(areas: readonly OperationArea[], version: string): OpenApiDocument {
  const schemas: Record<string, Json> = {};
  const paths: Record<string, Record<string, unknown>> = {};
  const ids = new Set<string>();
  const referTo = (schema: z.ZodType, io: 'input' | 'output'): Json => hoist(schema, io, schemas);
  for (const { name, operations } of areas) {
    for (const operation of operations) {
      if (ids.has(operation.id)) throw new TypeError(`two operations are called ${operation.id}`);
      ids.add(operation.id);
      (paths[operation.path] ??= {})[operation.method] = describe(operation, name, referTo);
    }
  }
  return {
    openapi: '3.1.1',
    info: {
      title: 'Mayfly',
      version,
      description: 'A just-in-time credential broker. Errors are problem documents (RFC 9457); instants are RFC 3339; unknown fields are refused.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    } as OpenApiDocument['info'],
    servers: [{ url: '/' }],
    tags: areas.map(({ name, description }) => ({ name, description })),
    paths,
    components: { schemas: Object.fromEntries(Object.entries(schemas).sort(([a], [b]) => (a < b ? -1 : 1))), headers: HEADERS, securitySchemes: SECURITY_SCHEMES },
  };
}

type ReferTo = (schema: z.ZodType, io: 'input' | 'output') => Json;

function describe(operation: Operation, tag: string, referTo: ReferTo): Json {
  const { id, summary, description, caller, body, bodyType = 'application/json', bodyOptional = false, examples } = operation;
  const parameters = parametersOf(operation, referTo);
  const content = {
    schema: body === undefined ? {} : referTo(body, 'input'),
    ...(examples === undefined ? {} : { examples: Object.fromEntries(Object.entries(examples).map(([name, value]) => [name, { value }])) }),
  };
  return {
    operationId: id,
    tags: [tag],
    summary,
    description: [description, `Who may call: ${CALLERS[caller]}.`].filter((text) => text !== undefined).join(' '),
    security: SECURITY[caller],
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === undefined ? {} : { requestBody: { required: !bodyOptional, content: { [bodyType]: content } } }),
    responses: { ...answersOf(operation, referTo), ...problemAnswers(operation, referTo), ...oauthErrorAnswers(operation, referTo) },
  };
}

const CALLERS: Readonly<Record<CallerKind, string>> = {
  anyone: 'anyone',
  workload: 'workloads',
  workload_or_operator: 'workloads and operators',
  viewer: 'operators, from the role viewer up',
  operator: 'operators, from the role operator up',
  admin: 'operators with the role admin',
};

const WORKLOAD = [{ workloadToken: [] }, { workloadCertificate: [] }];
const OPERATOR = [{ operatorToken: [] }, { session: [] }];
const BOUND = [{ boundToken: [] }];
const SECURITY: Readonly<Record<CallerKind, readonly Json[]>> = {
  anyone: [],
  workload: [...WORKLOAD, ...BOUND],
  workload_or_operator: [...WORKLOAD, ...OPERATOR, ...BOUND],
  viewer: [...OPERATOR, ...BOUND],
  operator: [...OPERATOR, ...BOUND],
  admin: [...OPERATOR, ...BOUND],
};

function parametersOf({ path, params = {}, query = {}, headers = {} }: Operation, referTo: ReferTo): Json[] {
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => parameter(name, 'path', params[name] ?? z.string(), referTo));
  const inQuery = Object.entries(query).map(([name, schema]) => parameter(name, 'query', schema as z.ZodType, referTo));
  const inHeaders = Object.entries(headers).map(([name, schema]) => parameter(name, 'header', schema, referTo));
  return [...inPath, ...inQuery, ...inHeaders];
}

function parameter(name: string, place: 'path' | 'query' | 'header', schema: z.ZodType, referTo: ReferTo): Json {
  const { description, ...rest } = referTo(schema, 'input');
  const required = place === 'path' || !(schema.safeParse(undefined).success);
  return { name, in: place, required, ...(description === undefined ? {} : { description }), schema: rest };
}

const EVERY_ANSWER = { 'X-Request-Id': { $ref: '#/components/headers/RequestId' }, traceparent: { $ref: '#/components/headers/Traceparent' } };
const HEADERS = {
  RequestId: { description: 'finds the request in the log of the broker', schema: { type: 'string' } },
  Traceparent: { description: 'the trace that the request is part of (W3C Trace Context): the one that its own `traceparent` named, or a new one', schema: { type: 'string' } },
};
const textHeaders = (headers: Readonly<Record<string, string>>): Json =>
  Object.fromEntries(Object.entries(headers).map(([name, description]) => [name, { description, schema: { type: 'string' } }]));

function answersOf({ answers }: Operation, referTo: ReferTo): Json {
  return Object.fromEntries(
    Object.entries(answers).map(([status, { description, schema, empty, mediaType = 'application/json', headers = {} }]) => [
      status,
      {
        description,
        headers: { ...EVERY_ANSWER, ...textHeaders(headers) },
        ...(empty === true ? {} : { content: { [mediaType]: { schema: schema === undefined ? { type: 'string' } : referTo(schema, 'output') } } }),
      },
    ]),
  );
}

/** One answer for each status, with the codes that it can carry. */
function problemAnswers(operation: Operation, referTo: ReferTo): Json {
  const byStatus = Map.groupBy(problemsOf(operation), (code) => PROBLEMS[code].status);
  return Object.fromEntries(
    [...byStatus].filter(([status]) => operation.answers[status] === undefined).map(([status, codes]) => [status, problemAnswer(codes, referTo)]),
  );
}

function problemAnswer(codes: readonly ProblemCode[], referTo: ReferTo): Json {
  const retries = codes.some((code) => PROBLEMS[code].retryable);
  const narrowed = { allOf: [referTo(problemSchema, 'output'), { properties: { code: { enum: codes } } }] };
  return {
    description: codes.map((code) => `\`${code}\`: ${PROBLEMS[code].title}`).join('; '),
    headers: {
      ...EVERY_ANSWER,
      ...(retries ? textHeaders({ 'Retry-After': 'seconds to wait before asking again' }) : {}),
      ...(codes.includes('invalid_token') ? textHeaders({ 'WWW-Authenticate': 'how to authenticate (RFC 6750, RFC 9449)' }) : {}),
      ...(codes.includes('use_dpop_nonce') ? textHeaders({ 'DPoP-Nonce': 'with `use_dpop_nonce`: the nonce for the next proof (RFC 9449 section 9)' }) : {}),
    },
    content: { 'application/problem+json': { schema: narrowed } },
  };
}

/** One answer for each status, with the OAuth errors that it can carry. */
function oauthErrorAnswers(operation: Operation, referTo: ReferTo): Json {
  return Object.fromEntries(
    [...Map.groupBy(oauthErrorsOf(operation), ({ status }) => status)].map(([status, errors]) => {
      const codes = errors.map(({ error }) => error);
      const headers = { ...(status === 401 ? { 'WWW-Authenticate': 'how to authenticate (RFC 6750)' } : {}), ...(status === 503 || status === 429 ? { 'Retry-After': 'seconds to wait before asking again' } : {}) };
      const narrowed = { allOf: [referTo(oauthErrorSchema, 'output'), { properties: { error: { enum: codes } } }] };
      return [status, { description: codes.map((code) => `\`${code}\``).join('; '), headers: { ...EVERY_ANSWER, ...textHeaders(headers) }, content: { 'application/json': { schema: narrowed } } }];
    }),
  );
}

/** The JSON Schema of a schema, with all that has an id moved to the document's components. */
function hoist(schema: z.ZodType, io: 'input' | 'output', components: Record<string, Json>): Json {
  const { $defs = {}, ...rest } = relocate(z.toJSONSchema(schema, { io })) as { $defs?: Record<string, Json>; $schema?: unknown };
  delete rest.$schema;
  for (const [name, definition] of Object.entries($defs)) components[name] = definition;
  return rest;
}

/** `#/$defs/Task` becomes `#/components/schemas/Task`. */
function relocate(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(relocate);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key, key === '$ref' && typeof inner === 'string' ? inner.replace('#/$defs/', '#/components/schemas/') : relocate(inner)]),
  );
}
