import { randomUUID } from 'node:crypto';
import type { RequestHandler, Response } from 'express';

/** Ids a caller may bring; anything else is replaced, so that a request id can be printed without thought. */
const ACCEPTED = /^[\w.-]{1,64}$/;

/** Gives each request an id, taken from `X-Request-Id` where it is well-formed, and answers with it. */
export const requestId: RequestHandler = (request, response, next) => {
  const given = request.get('x-request-id');
  const id = given !== undefined && ACCEPTED.test(given) ? given : randomUUID();
  response.locals['requestId'] = id;
  response.set('X-Request-Id', id);
  next();
};

/** The id of the request being answered. */
export const requestIdOf = (response: Response): string => String(response.locals['requestId']);
