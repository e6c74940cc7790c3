import { Router, type Request } from 'express';
import { z } from 'zod';
import type { OperatorsConfig } from '../../config/config-schema.ts';
import { Problem } from '../../core/problem.ts';
import type { Authenticator } from '../../identity/caller.ts';
import { requireOwnPage } from '../../identity/session-caller.ts';
import type { SessionRecords } from '../../identity/session.ts';
import { ATTEMPT_MS } from '../../identity/sign-in/sign-in-attempt.ts';
import { CALLBACK_PATH } from '../../identity/sign-in/issuer-client.ts';
import type { SignIn } from '../../identity/sign-in/sign-in.ts';
import type { SignInGate } from '../../identity/sign-in/sign-in-gate.ts';
import { freeText, parse } from '../../task/declaration.ts';
import { authenticateOperator } from '../authenticate.ts';
import { OAuthError } from '../oauth/oauth-error.ts';
import { readForm } from '../oauth/oauth-form.ts';
import { presentedBy } from '../presented.ts';
import { parseQuery } from '../query.ts';
import { jsonBody } from '../read-json.ts';
import { ATTEMPT_COOKIE, clearCookie, readCookie, SESSION_COOKIE, setCookie } from '../sign-in/cookies.ts';
import { parseReturnTo } from '../sign-in/return-to.ts';

/** What signs people in, and what keeps a crowd of strangers from it. */
export interface SignInParts {
  readonly signIn: SignIn;
  readonly gate: SignInGate;
}

export interface SignInRoutesDeps {
  readonly authenticator: Authenticator;
  readonly records: Pick<SessionRecords, 'endSessions'>;
  readonly operators: Pick<OperatorsConfig, 'issuer' | 'audience' | 'cli'>;
  /** Undefined where nobody can sign in. */
  readonly people: SignInParts | undefined;
  /** Where browsers reach the broker; where it does not know, nobody can sign in. */
  readonly publicUrl: string | undefined;
}

/** What `GET /auth/sign-in` can be asked. */
export const signInQuery = {
  return_to: z.string().optional().describe('where the browser goes afterwards: a path of this broker'),
  fresh: z.enum(['true', 'false']).default('false').describe('`true`: whoever the issuer remembers has to prove it anew, or is somebody else'),
};

/** What a command line needs to sign somebody in. */
export const commandLineSignIn = z.strictObject({
  issuer: z.string().describe('of OpenID Connect'),
  client_id: z.string().describe('a public client at it'),
  audience: z.string().describe('what a token must carry in `aud` to be good here'),
  scopes: z.array(z.string()).describe('to ask for, beside `openid`'),
  audience_parameter: z.enum(['none', 'resource', 'audience']).describe('how the issuer is asked for a token for that audience'),
});

export const signOutBody = z.strictObject({ everywhere: z.boolean().default(false).describe('ends every session of this person, on every machine') });

export const signOutsBody = z.strictObject({
  subject: z.string().min(1).max(2_048).describe("the person, as the operators' issuer names them"),
  reason: freeText.min(1).describe('for the audit log'),
});

/** `/auth`: how a person signs in with a browser, and out; and `/v1/sign-outs`, by which an admin ends the sessions of another. */
export function signInRoutes(deps: SignInRoutesDeps): Router {
  const router = Router();
  const configured = (): SignInParts & { readonly publicUrl: string } => {
    const { people, publicUrl } = deps;
    if (people === undefined || publicUrl === undefined) throw new Problem('not_found', 'sign-in is not configured here (operators.sign_in)');
    return { ...people, publicUrl };
  };

  router.get('/auth/methods', (_request, response) => {
    response.json({ sign_in: deps.people !== undefined, cli: commandLineOf(deps.operators) });
  });

  router.get('/auth/sign-in', async (request, response) => {
    const { signIn, gate, publicUrl } = configured();
    gate.admit(request.ip);
    const { return_to: asked, fresh } = parseQuery(request, signInQuery);
    const { url, attempt } = await signIn.begin(parseReturnTo(asked, publicUrl), fresh === 'true');
    setCookie(response, ATTEMPT_COOKIE, attempt.cookie, ATTEMPT_MS);
    response.set('Referrer-Policy', 'no-referrer').redirect(303, url.href);
  });

  router.get(CALLBACK_PATH, async (request, response) => {
    const { signIn, gate, publicUrl } = configured();
    gate.admit(request.ip);
    // Good for one return, whatever comes of it.
    clearCookie(response, ATTEMPT_COOKIE);
    const { secret, returnTo } = await signIn.complete(readCookie(request, ATTEMPT_COOKIE), queryOf(request), readCookie(request, SESSION_COOKIE));
    gate.signedIn(request.ip);
    setCookie(response, SESSION_COOKIE, secret);
    response.set('Referrer-Policy', 'no-referrer').redirect(303, `${new URL(publicUrl).origin}${returnTo}`);
  });

  router.post('/auth/sign-out', async (request, response) => {
    const { signIn, publicUrl } = configured();
    const { session } = presentedBy(request);
    const { everywhere } = parse(signOutBody, jsonBody(request));
    // From the page of another site it comes without the cookie: then the answer must not take the cookie back either.
    if (session === null) {
      response.json({ end_session_url: null });
      return;
    }
    requireOwnPage(session, request.method, new URL(publicUrl).origin);
    const url = await signIn.signOut(session.cookie, everywhere);
    clearCookie(response, SESSION_COOKIE);
    response.json({ end_session_url: url });
  });

  router.post('/auth/back-channel-logout', async (request, response) => {
    const { signIn, gate } = configured();
    const token = readForm(request).need('logout_token');
    await gate.logOut(request.ip, () => signIn.logOut(token)).catch((error: unknown) => {
      // Section 2.8: whatever is wrong with it is an invalid request.
      throw error instanceof Problem && error.code === 'invalid_token' ? new OAuthError('invalid_request', error.message.replace(/^the token/, 'the logout token')) : error;
    });
    response.status(200).json({});
  });

  router.post('/v1/sign-outs', async (request, response) => {
    const { issuer, subject } = await authenticateOperator(request, deps.authenticator, 'admin');
    const { subject: person, reason } = parse(signOutsBody, jsonBody(request));
    await deps.records.endSessions({ why: 'signed_out_by_admin', person: { issuer: deps.operators.issuer, subject: person }, by: { issuer, subject }, reason });
    response.json({ sign_out: { subject: person } });
  });

  return router;
}

/** What `mayfly login` needs to know; a public client has no secret. */
const commandLineOf = ({ issuer, audience, cli }: SignInRoutesDeps['operators']): z.input<typeof commandLineSignIn> | null => (cli === undefined ? null : { issuer, audience, ...cli });

const queryOf = (request: Request): string => {
  const at = request.originalUrl.indexOf('?');
  return at === -1 ? '' : request.originalUrl.slice(at);
};
