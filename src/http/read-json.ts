import express, { type Request, type RequestHandler } from 'express';
import { Problem } from '../core/problem.ts';

/** The largest body any call takes. */
const BODY_LIMIT = '64kb';

/** Reads bodies as bytes; `jsonBody` makes sense of them, after the caller's rights are known. */
export const readBody: RequestHandler = express.raw({ type: () => true, limit: BODY_LIMIT, inflate: false });

/** The JSON of a request; an empty body is `{}`. Throws `unsupported_media_type` or `malformed_body`. */
export function jsonBody(request: Request): unknown {
  const bytes: unknown = request.body;
  if (!Buffer.isBuffer(bytes) || bytes.length === 0) return {};
  if (!request.is('application/json')) throw new Problem('unsupported_media_type', 'send the body as application/json');
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new Problem('malformed_body', 'the body is not UTF-8', { cause });
  }
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw new Problem('malformed_body', 'the body is not JSON', { cause });
  }
}
