import { decodeJwt } from 'jose';
import * as oidc from 'openid-client';
import { allowInsecure } from '../../identity/sign-in/allow-insecure.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { tell } from '../output.ts';
import { safeAddress } from '../safe-address.ts';
import { traceRequest } from '../trace-request.ts';
import { listenOnLoopback } from './loopback-listener.ts';
import { hasBrowser, openBrowser } from './open-browser.ts';

/** What a broker tells a command line of its issuer (`GET /auth/methods`). */
export interface CommandLineSignIn {
  readonly issuer: string;
  readonly client_id: string;
  readonly audience: string;
  readonly scopes: readonly string[];
  readonly audience_parameter: 'none' | 'resource' | 'audience';
}

export interface SignInOptions {
  /** By a code that is typed at another machine (RFC 8628). */
  readonly device: boolean;
  /** Whether a browser may be opened. */
  readonly browser: boolean;
  /** Where the browser comes back to; 0 for any port. */
  readonly port: number;
}

export interface IssuedToken {
  readonly token: string;
  readonly expiresAt: string;
}

/** How long a person may take. */
const PATIENCE_MS = 600_000;

/** Signs a person in at the issuer; answers a token that carries the broker's audience. Throws `CliError`. */
export async function signInAt(how: CommandLineSignIn, { device, browser, port }: SignInOptions): Promise<IssuedToken> {
  try {
    const client = await discovered(how);
    return tokenFor(how, device ? await byDevice(client, how) : await byBrowser(client, how, { browser, port }));
  } catch (error) {
    throw error instanceof CliError ? error : refusalOf(error, how.issuer);
  }
}

async function discovered({ issuer, client_id: clientId }: CommandLineSignIn): Promise<oidc.Configuration> {
  const address = safeAddress(issuer, 'the broker: operators.issuer');
  return oidc.discovery(address, clientId, undefined, oidc.None(), { [oidc.customFetch]: tracedFetch, execute: address.protocol === 'http:' ? [allowInsecure] : [] });
}

/** A query is not told of: what is in one here is the issuer's to know. */
const tracedFetch: oidc.CustomFetch = (url, options) => traceRequest(fetch(url, options as RequestInit), { method: options.method, path: url.replace(/\?.*$/s, '') });

const asked = ({ scopes, audience, audience_parameter: parameter }: CommandLineSignIn): Record<string, string> => ({
  scope: [...new Set(['openid', ...scopes])].join(' '),
  ...(parameter === 'none' ? {} : { [parameter]: audience }),
});

/** The authorization code flow with PKCE, back over loopback (RFC 8252). */
async function byBrowser(client: oidc.Configuration, how: CommandLineSignIn, { browser, port }: Pick<SignInOptions, 'browser' | 'port'>): Promise<oidc.TokenEndpointResponse> {
  const [state, nonce, verifier] = [oidc.randomState(), oidc.randomNonce(), oidc.randomPKCECodeVerifier()];
  const listener = await listenOnLoopback(port);
  const late = new AbortController();
  try {
    const url = oidc.buildAuthorizationUrl(client, {
      ...asked(how),
      redirect_uri: listener.redirectUri,
      ...{ state, nonce },
      code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
    });
    // It is given to a program that opens more than web pages.
    safeAddress(url.href, 'the issuer: authorization_endpoint');
    const opens = browser && hasBrowser(process.env);
    tell(`${opens ? 'your browser opens; where it does not, ' : ''}sign in at\n  ${url.href}`);
    if (opens) openBrowser(url);
    let answer: oidc.TokenEndpointResponse | undefined;
    const redeem = async (came: URL): Promise<void> => {
      answer = await oidc.authorizationCodeGrant(client, came, { expectedState: state, expectedNonce: nonce, pkceCodeVerifier: verifier, idTokenExpected: true }, resourceOf(how));
    };
    await Promise.race([listener.comeBack(state, redeem), outOfTime(late.signal)]);
    if (answer === undefined) throw new TypeError('nothing was redeemed');
    return answer;
  } finally {
    late.abort();
    listener.close();
  }
}

async function byDevice(client: oidc.Configuration, how: CommandLineSignIn): Promise<oidc.TokenEndpointResponse> {
  if (client.serverMetadata().device_authorization_endpoint === undefined) throw new CliError(EXIT.failure, `${how.issuer} offers no sign-in by a code (RFC 8628): leave --device away`);
  const pending = await oidc.initiateDeviceAuthorization(client, asked(how));
  tell(`on any machine, open\n  ${pending.verification_uri}\nand enter the code ${pending.user_code}`);
  return oidc.pollDeviceAuthorizationGrant(client, pending, resourceOf(how), { signal: AbortSignal.timeout(PATIENCE_MS) });
}

/** RFC 8707 section 2.2: the token is asked for by the same resource. */
const resourceOf = ({ audience, audience_parameter: parameter }: CommandLineSignIn): Record<string, string> => (parameter === 'resource' ? { resource: audience } : {});

async function outOfTime(signal: AbortSignal): Promise<never> {
  const { setTimeout: wait } = await import('node:timers/promises');
  await wait(PATIENCE_MS, undefined, { signal });
  throw new CliError(EXIT.pending, `nobody came back within ${PATIENCE_MS / 60_000} minutes: run \`mayfly login\` again`);
}

/** Of what the issuer gave, the token that the broker takes: an access token rather than an id token. Whether it is genuine, the broker finds out. */
function tokenFor({ audience, issuer }: CommandLineSignIn, answer: oidc.TokenEndpointResponse): IssuedToken {
  const given = [answer.access_token, answer.id_token].filter((token) => token !== undefined).map((token) => ({ token, claims: claimsOf(token) }));
  const good = given.find(({ claims: { aud } }) => [aud].flat().includes(audience));
  if (good?.claims.exp === undefined) {
    const seen = given.map(({ claims: { aud } }) => [aud ?? 'unreadable'].flat().join(' ')).join('; ');
    throw new CliError(EXIT.auth, `${issuer} let you in, but gave no token for ${audience} (operators.audience); what it gave is for: ${seen}`, 'docs/sign-in.md says how the issuer is told, under "At a terminal"');
  }
  return { token: good.token, expiresAt: new Date(good.claims.exp * 1_000).toISOString() };
}

function claimsOf(token: string): { readonly aud?: string | string[] | undefined; readonly exp?: number | undefined } {
  try {
    return decodeJwt(token);
  } catch {
    return {};
  }
}

function refusalOf(error: unknown, issuer: string): CliError {
  if (error instanceof oidc.AuthorizationResponseError || error instanceof oidc.ResponseBodyError) {
    if (error.error === 'expired_token') return new CliError(EXIT.pending, 'nobody entered the code in time: run `mayfly login` again');
    return new CliError(EXIT.auth, `${issuer} did not let you in: ${error.error}${error.error_description === undefined ? '' : `: ${error.error_description}`}`);
  }
  if (error instanceof DOMException) return new CliError(EXIT.pending, `nobody signed in within ${PATIENCE_MS / 60_000} minutes: run \`mayfly login\` again`);
  if (error instanceof oidc.ClientError) return new CliError(EXIT.upstream, `${issuer} answers not as an OpenID Connect issuer does: ${error.message}`);
  return new CliError(EXIT.upstream, `${issuer} cannot be reached: ${error instanceof Error ? error.message : ''}`);
}
