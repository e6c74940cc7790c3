import type { CustomFetch } from 'openid-client';
import { Secret } from '../../core/secret.ts';
import type { OutboundFetch } from '../outbound-fetch.ts';

/** Answers without a body, for which `Response` takes none (Fetch section 2.2.6). */
const WITHOUT_BODY: readonly number[] = [204, 205, 304];

/** The broker's one way out, as the OpenID Connect library takes it: what it asks for is bound by the same rules as all else. */
export function fetchForOidc(outboundFetch: OutboundFetch): CustomFetch {
  return async (url, { method, headers, body, signal }) => {
    if (method !== 'GET' && method !== 'POST') throw new TypeError(`the method ${method} is not used here`);
    const { accept, ...more } = headers;
    const answer = await outboundFetch(url, {
      headers: more,
      ...(accept === undefined ? {} : { accept }),
      ...(method === 'POST' ? { form: new Secret(formOf(body)) } : {}),
      ...(signal === undefined ? {} : { signal }),
    });
    const received = Object.entries(answer.headers).flatMap(([name, value]) => [value ?? []].flat().map((one): [string, string] => [name, one]));
    return new Response(WITHOUT_BODY.includes(answer.status) ? null : answer.body, { status: answer.status, headers: received });
  };
}

function formOf(body: Parameters<CustomFetch>[1]['body']): string {
  if (body instanceof URLSearchParams || typeof body === 'string') return body.toString();
  throw new TypeError('only a form is posted here');
}
