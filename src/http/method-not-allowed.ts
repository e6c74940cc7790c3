import type { RequestHandler } from 'express';
import { Problem } from '../core/problem.ts';
import { pathPattern } from './openapi/operation.ts';
import { OPERATIONS } from './openapi/operations.ts';

/** For paths that exist and do not take the method: says which they take (RFC 9110 section 15.5.6). */
export function methodNotAllowed(): RequestHandler {
  const paths = [...Map.groupBy(OPERATIONS, ({ path }) => path)].map(([path, operations]) => ({
    pattern: pathPattern(path),
    methods: operations.flatMap(({ method }) => (method === 'get' ? ['GET', 'HEAD'] : [method.toUpperCase()])),
  }));
  return (request, response, next) => {
    const methods = [...new Set(paths.filter(({ pattern }) => pattern.test(request.path)).flatMap((path) => path.methods))].join(', ');
    if (methods === '') {
      next();
      return;
    }
    response.set('Allow', methods);
    next(new Problem('method_not_allowed', `this path takes ${methods}`));
  };
}
