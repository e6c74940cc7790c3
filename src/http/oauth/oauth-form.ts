import type { Request } from 'express';
import { OAuthError } from './oauth-error.ts';

/** The parameters of a call, as a form body carries them. */
export interface OAuthForm {
  /** Undefined where it was not sent, or sent without a value: the two are the same (RFC 6749 section 3.2). */
  get(name: string): string | undefined;
  /** Throws `invalid_request` where it is missing. */
  need(name: string): string;
  all(name: string): readonly string[];
}

/** Parameters that may be sent more than once (RFC 8707 section 2, RFC 8693 section 2.1). */
const REPEATABLE = ['resource', 'audience'];
/** No honest call has more; each costs a look. */
const MAX_PARAMETERS = 64;

/**
 * Reads the form body of a call of an OAuth client (RFC 6749 section 3.2). Throws `invalid_request` for another media type,
 * for parameters in the URL, where they would end up in logs, and for one that is sent twice.
 */
export function readForm(request: Request): OAuthForm {
  if (request.originalUrl.includes('?')) throw new OAuthError('invalid_request', 'send the parameters in the body, not in the URL');
  if (!request.is('application/x-www-form-urlencoded')) throw new OAuthError('invalid_request', 'send the body as application/x-www-form-urlencoded');
  const sent = new URLSearchParams(textOf(request.body));
  if (sent.size > MAX_PARAMETERS) throw new OAuthError('invalid_request', `at most ${MAX_PARAMETERS} parameters are read`);
  const values = Map.groupBy([...sent], ([name]) => name);
  for (const [name, pairs] of values) {
    // Which of two was meant nobody can know, and another part on the way may have read the other.
    if (!REPEATABLE.includes(name) && pairs.length > 1) throw new OAuthError('invalid_request', `${isWord(name) ? name : 'a parameter'} may be sent once`);
  }
  const all = (name: string): string[] => (values.get(name) ?? []).map(([, value]) => value).filter((value) => value !== '');
  return {
    get: (name) => all(name)[0],
    need(name) {
      const [value] = all(name);
      if (value === undefined) throw new OAuthError('invalid_request', `${name} is required`);
      return value;
    },
    all,
  };
}

/** A name that may be repeated to whoever sent it. */
const isWord = (name: string): boolean => /^\w{1,64}$/.test(name);

function textOf(body: unknown): string {
  if (!Buffer.isBuffer(body)) return '';
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(body);
  } catch {
    throw new OAuthError('invalid_request', 'the body is not UTF-8');
  }
}
