import { createHash } from 'node:crypto';
import type { Express } from 'express';
import { describe, expect, it } from '@jest/globals';
import { createApp, type AppDeps } from '../../src/http/create-app.ts';
import { openApiDocument } from '../../src/http/openapi/openapi-document.ts';
import { expressPath } from '../../src/http/openapi/operation.ts';
import { OPERATION_AREAS, OPERATIONS } from '../../src/http/openapi/operations.ts';
import { REFERENCE_CSP, referencePage } from '../../src/http/openapi/reference-page.ts';
import { undescribed } from '../support/described-answer.ts';

const document = openApiDocument(OPERATION_AREAS, '1.2.3');
const text = JSON.stringify(document);
const page = referencePage(document);

/** Only routes are looked at, and none is called: whatever a route wants of its parts is there. */
const anything: object = new Proxy(() => undefined, { get: (_target, key) => (key === Symbol.iterator ? [][Symbol.iterator].bind([]) : anything) });

interface Layer {
  readonly route?: { readonly path: string | readonly string[]; readonly methods: Readonly<Record<string, boolean>> };
  readonly handle: { readonly stack?: readonly Layer[] };
}

const routesOf = (layers: readonly Layer[]): string[] =>
  layers.flatMap(({ route, handle }) => {
    if (route === undefined) return routesOf(handle.stack ?? []);
    return [route.path].flat().flatMap((path) => Object.keys(route.methods).map((method) => `${method.toUpperCase()} ${path}`));
  });

const routed = (): string[] => routesOf((createApp(anything as AppDeps) as Express & { router: { stack: readonly Layer[] } }).router.stack);
const described = OPERATIONS.map(({ method, path }) => `${method.toUpperCase()} ${expressPath(path)}`);

describe('the description of the interface', () => {
  it('describes every route of express: add what is missing to the file of its area in src/http/openapi', () => {
    expect(routed().filter((route) => !described.includes(route))).toEqual([]);
  });

  it('describes nothing that is not routed', () => {
    const routes = routed();
    expect(described.filter((route) => !routes.includes(route))).toEqual([]);
    expect(routes.length).toBeGreaterThan(10);
  });

  it('finds a route whose description is gone (control)', () => {
    expect(routed().filter((route) => !described.slice(1).includes(route))).toEqual(['POST /v1/tasks']);
  });

  it('describes nothing twice', () => {
    expect(new Set(described).size).toBe(described.length);
    expect(() => openApiDocument([...OPERATION_AREAS, ...OPERATION_AREAS.slice(0, 1)], '1')).toThrow('two operations are called declareTask');
  });

  it('names every schema it refers to', () => {
    const referred = [...text.matchAll(/"#\/components\/schemas\/(\w+)"/g)].map(([, name]) => name);
    expect(referred.length).toBeGreaterThan(30);
    expect(referred.filter((name) => name !== undefined && !(name in document.components.schemas))).toEqual([]);
    expect(text).not.toContain('$defs');
  });

  it('has examples that its own schemas accept', () => {
    const faults = OPERATIONS.flatMap(({ id, body, examples = {} }) =>
      Object.entries(examples).flatMap(([name, value]) => (body?.safeParse(value).success === true ? [] : [`${id}: ${name}`])),
    );
    expect(faults).toEqual([]);
  });

  it('says by what one proves who one is: a token, a certificate where a workload may call, a token with a proof', () => {
    const schemes = document.components.securitySchemes;
    expect(schemes).toMatchObject({
      workloadToken: { type: 'http', scheme: 'bearer' },
      operatorToken: { type: 'http', scheme: 'bearer' },
      workloadCertificate: { type: 'mutualTLS' },
      boundToken: { type: 'http', scheme: 'DPoP' },
    });
    const waysOf = (method: string, path: string): string[] => ((document.paths[path]?.[method] as { security: object[] }).security).flatMap((way) => Object.keys(way));
    expect(waysOf('post', '/v1/tasks')).toEqual(['workloadToken', 'workloadCertificate', 'boundToken']);
    expect(waysOf('get', '/v1/whoami')).toEqual(['workloadToken', 'workloadCertificate', 'operatorToken', 'session', 'boundToken']);
    expect(waysOf('post', '/v1/revocations')).toEqual(['operatorToken', 'session', 'boundToken']);
    expect(waysOf('get', '/livez')).toEqual([]);
    const undefinedSchemes = OPERATIONS.flatMap(({ method, path }) => waysOf(method, path)).filter((name) => !(name in schemes));
    expect(undefinedSchemes).toEqual([]);
  });

  it('gives each path parameter a schema', () => {
    const missing = OPERATIONS.flatMap(({ id, path, params = {} }) => [...path.matchAll(/\{(\w+)\}/g)].filter(([, name = '']) => !(name in params)).map(() => id));
    expect(missing).toEqual([]);
  });
});

describe('the reference page', () => {
  it('shows every operation and every schema', () => {
    const missing = [...OPERATIONS.map(({ id }) => id), ...Object.keys(document.components.schemas)].filter((id) => !page.includes(`id="${id}"`));
    expect(missing).toEqual([]);
  });

  it('has no script, no outside address and no link to nowhere', () => {
    expect(page).not.toMatch(/<script|javascript:|\son\w+=|https?:\/\//i);
    const targets = [...page.matchAll(/href="#([^"]+)"/g)].map(([, id = '']) => id);
    expect(targets.filter((id) => !page.includes(`id="${id}"`))).toEqual([]);
  });

  it('is allowed its own style and nothing else', () => {
    const style = /<style>([^]*?)<\/style>/.exec(page)?.[1] ?? '';
    expect(REFERENCE_CSP).toContain(`style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'`);
    expect(REFERENCE_CSP).toContain("default-src 'none'");
    expect(page.match(/<style/g)).toHaveLength(1);
    expect(page).not.toContain(' style=');
  });
});

describe('what tests check of each answer', () => {
  const problem = { type: 'urn:mayfly:problem:not_found', title: 't', status: 404, detail: 'd', instance: '/', code: 'not_found', request_id: 'r', trace_id: 'a'.repeat(32) };
  const answer = (status: number, body: unknown, type = 'application/json') => ({ status, body, headers: new Headers({ 'content-type': type }) });

  it.each([
    ['an answer that is described', 'GET', '/livez', answer(200, { status: 'ok' }), null],
    ['a field too many', 'GET', '/livez', answer(200, { status: 'ok', more: 1 }), /unlike its schema/],
    ['a status that is not described', 'GET', '/livez', answer(204, {}), /204, which is not described/],
    ['a problem that is not described', 'GET', '/livez', answer(404, problem, 'application/problem+json'), /problem not_found, which is not described/],
    ['an error that is no problem', 'GET', '/v1/tasks', answer(404, {}), /not as a problem/],
    ['a route that is not described', 'GET', '/v1/nowhere', answer(200, {}), /200, which is not described/],
    ['a path that is not there', 'GET', '/v1/nowhere', answer(404, problem, 'application/problem+json'), null],
  ])('%s', (_name, method, path, seen, expected) => {
    const fault = undescribed(method, path, seen);
    if (expected === null) expect(fault).toBeNull();
    else expect(fault).toMatch(expected);
  });
});
