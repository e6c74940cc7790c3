import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import type { TokenRequest } from './dev-issuer.ts';

/** Somebody who can sign in: a name, and what the id token says of them. */
export interface DevPerson {
  readonly subject: string;
  readonly title: string;
  readonly claims: Readonly<Record<string, unknown>>;
}

export interface DevSignInOptions {
  readonly clientId: string;
  readonly clientSecret: string;
  readonly redirectUri: string;
  readonly people: readonly DevPerson[];
  /** What the command line is known by: it has no secret, and comes back to any port of this machine. */
  readonly commandLineId: string;
}

interface Asked {
  readonly clientId: string;
  readonly redirectUri: string;
  readonly state: string;
  readonly nonce: string;
  readonly challenge: string;
}

interface Code extends Asked {
  readonly person: DevPerson;
  readonly untilMs: number;
}

const CODE_MS = 60_000;
/** RFC 8252 section 7.3. */
const LOOPBACK_REDIRECT = /^http:\/\/127\.0\.0\.1:\d+\/callback$/;
const STYLE = ':root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;margin:12vh auto;padding:0 1.5rem;max-width:32rem}button{font:inherit;display:block;width:100%;margin:.5rem 0;padding:.7rem 1rem;text-align:left;cursor:pointer}';
/** No `form-action`: a browser would hold the redirect that follows the form to it, too. */
const CSP = `default-src 'none'; style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'; base-uri 'none'; frame-ancestors 'none'`;

/**
 * The sign-in of the development issuer: a page on which one picks who one is, and a token endpoint, as OpenID Connect's
 * authorization code flow with PKCE has them. There are no passwords: whoever reaches it on loopback is whoever they say.
 */
export function createDevSignIn({ clientId, clientSecret, redirectUri, people, commandLineId }: DevSignInOptions, issuer: string, sign: (request: TokenRequest) => Promise<string>) {
  const codes = new Map<string, Code>();

  function ask(query: URLSearchParams): Asked {
    const asked = { clientId: query.get('client_id') ?? '', redirectUri: query.get('redirect_uri') ?? '', state: query.get('state') ?? '', nonce: query.get('nonce') ?? '', challenge: query.get('code_challenge') ?? '' };
    const isKnown = asked.clientId === commandLineId ? LOOPBACK_REDIRECT.test(asked.redirectUri) : asked.clientId === clientId && asked.redirectUri === redirectUri;
    if (!isKnown) throw new BadRequest('this is no client of the development issuer');
    if (query.get('response_type') !== 'code' || query.get('code_challenge_method') !== 'S256' || asked.challenge === '') throw new BadRequest('only the code flow with PKCE (S256) is offered');
    return asked;
  }

  function choose(query: URLSearchParams, response: ServerResponse): void {
    const asked = ask(query);
    const person = people.find(({ subject }) => subject === query.get('person'));
    if (person === undefined) {
      response.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8', 'Content-Security-Policy': CSP, 'Cache-Control': 'no-store' }).end(page(query, people));
      return;
    }
    const code = randomBytes(32).toString('base64url');
    codes.set(code, { ...asked, person, untilMs: Date.now() + CODE_MS });
    const back = new URL(asked.redirectUri);
    for (const [name, value] of Object.entries({ code, state: asked.state, iss: issuer })) back.searchParams.set(name, value);
    response.writeHead(303, { Location: back.href, 'Cache-Control': 'no-store' }).end();
  }

  async function redeem(request: IncomingMessage): Promise<{ readonly status: number; readonly body: object }> {
    const form = new URLSearchParams(await text(request));
    const client = clientOf(request.headers.authorization, form);
    if (client === undefined) return { status: 401, body: { error: 'invalid_client' } };
    const code = codes.get(form.get('code') ?? '');
    // Good once, whatever comes of it (RFC 6749 section 4.1.2).
    codes.delete(form.get('code') ?? '');
    const challenge = createHash('sha256').update(form.get('code_verifier') ?? '').digest('base64url');
    if (code === undefined || code.untilMs < Date.now() || code.clientId !== client || form.get('redirect_uri') !== code.redirectUri || challenge !== code.challenge) return { status: 400, body: { error: 'invalid_grant' } };
    const { subject, claims } = code.person;
    const idToken = await sign({ subject, audience: client, claims: { ...claims, nonce: code.nonce, sid: randomBytes(8).toString('hex') } });
    // The one of the command line is for the broker; that of the dashboard opens nothing.
    const accessToken = client === commandLineId ? await sign({ subject, claims, type: 'at+jwt' }) : randomBytes(16).toString('base64url');
    return { status: 200, body: { id_token: idToken, access_token: accessToken, token_type: 'Bearer', expires_in: 60 } };
  }

  /** Which client redeems; undefined where it cannot prove it. RFC 6749 section 2.3.1: each half is encoded as in a form. */
  function clientOf(authorization: string | undefined, form: URLSearchParams): string | undefined {
    if (authorization === undefined) return form.get('client_id') === commandLineId ? commandLineId : undefined;
    const [id = '', secret = ''] = Buffer.from(authorization.replace(/^Basic /i, ''), 'base64').toString().split(':').map((half) => decodeURIComponent(half.replaceAll('+', ' ')));
    return id === clientId && timingSafeEqual(digest(secret), digest(clientSecret)) ? clientId : undefined;
  }

  return {
    metadata: {
      authorization_endpoint: `${issuer}/authorize`,
      token_endpoint: `${issuer}/token`,
      response_types_supported: ['code'],
      code_challenge_methods_supported: ['S256'],
      token_endpoint_auth_methods_supported: ['client_secret_basic', 'none'],
      authorization_response_iss_parameter_supported: true,
    },

    /** Answers what belongs to the sign-in; false for anything else. */
    async answer(request: IncomingMessage, response: ServerResponse): Promise<boolean> {
      const url = new URL(request.url ?? '/', issuer);
      try {
        if (request.method === 'GET' && url.pathname === '/authorize') choose(url.searchParams, response);
        else if (request.method === 'POST' && url.pathname === '/token') {
          const { status, body } = await redeem(request);
          response.writeHead(status, { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' }).end(JSON.stringify(body));
        } else return false;
      } catch (error) {
        if (!(error instanceof BadRequest)) throw error;
        response.writeHead(400, { 'Content-Type': 'text/plain' }).end(error.message);
      }
      return true;
    },
  };
}

const digest = (value: string): Buffer => createHash('sha256').update(value).digest();

class BadRequest extends Error {}

function page(query: URLSearchParams, people: readonly DevPerson[]): string {
  const hidden = [...query].map(([name, value]) => `<input type="hidden" name="${escape(name)}" value="${escape(value)}">`);
  const buttons = people.map(({ subject, title }) => `<button name="person" value="${escape(subject)}"><strong>${escape(subject)}</strong>, ${escape(title)}</button>`);
  return [
    `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>Sign in: development issuer</title><style>${STYLE}</style></head>`,
    '<body><main><h1>Who are you?</h1><p>The issuer of the development stack. It has no passwords, and is gone when the stack stops.</p>',
    `<form method="get" action="/authorize">${hidden.join('')}${buttons.join('')}</form></main></body></html>`,
  ].join('\n');
}

const escape = (value: string): string => value.replaceAll(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
