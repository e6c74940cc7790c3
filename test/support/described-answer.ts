import type { Operation } from '../../src/http/openapi/operation.ts';
import { oauthErrorsOf, pathPattern, problemsOf } from '../../src/http/openapi/operation.ts';
import { OPERATIONS } from '../../src/http/openapi/operations.ts';
import { oauthErrorSchema, problemSchema } from '../../src/http/openapi/problem-schema.ts';

interface SeenAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: unknown;
}

/** The operation that a request meets, if any: one whose path has no parameters before one that has. */
export function operationOf(method: string, path: string): Operation | undefined {
  const found = OPERATIONS.filter((operation) => operation.method.toUpperCase() === method && pathPattern(operation.path).test(path.split('?')[0] ?? ''));
  return found.find((operation) => !operation.path.includes('{')) ?? found[0];
}

/** Why an answer is not one that the interface describes; null when it is. */
export function undescribed(method: string, path: string, { status, headers, body }: SeenAnswer): string | null {
  const operation = operationOf(method, path);
  const where = operation === undefined ? `${method} ${path}` : `${operation.id} (src/http/openapi, ${method} ${operation.path})`;
  const type = headers.get('content-type')?.split(';')[0] ?? '';
  const expected = operation?.answers[status];
  if (expected === undefined && status < 400) return `${where} answered ${status}, which is not described`;
  if (expected?.empty === true) return type === '' ? null : `${where} answered ${status} with a body, and none is described`;
  if (expected !== undefined) {
    const mediaType = expected.mediaType ?? 'application/json';
    if (type !== mediaType) return `${where} answered ${status} as ${type}, and ${mediaType} is described`;
    const result = expected.schema?.safeParse(body);
    return result === undefined || result.success ? null : `${where} answered ${status} with a body unlike its schema: ${result.error.message}`;
  }
  if (operation?.oauthErrors !== undefined) {
    const told = oauthErrorSchema.safeParse(body);
    if (type !== 'application/json' || !told.success) return `${where} answered ${status} as ${type}, not as an OAuth error: ${told.error?.message ?? ''}`;
    const { error } = told.data;
    return oauthErrorsOf(operation).some((known) => known.error === error && known.status === status) ? null : `${where} answered ${status} ${error}, which is not described: add it to its \`oauthErrors\``;
  }
  if (type !== 'application/problem+json') return `${where} answered ${status} as ${type}, not as a problem`;
  const problem = problemSchema.safeParse(body);
  if (!problem.success) return `${where} answered a problem unlike its schema: ${problem.error.message}`;
  const { code } = problem.data;
  if (operation === undefined) return code === 'not_found' || code === 'method_not_allowed' ? null : `${where} is not described, and answered ${code}`;
  return problemsOf(operation).has(code) ? null : `${where} answered the problem ${code}, which is not described: add it to its \`problems\``;
}
