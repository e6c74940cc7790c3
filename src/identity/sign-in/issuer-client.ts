import { createPublicKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import * as oidc from 'openid-client';
import type { OperatorsConfig, SignInConfig } from '../../config/config-schema.ts';
import type { Clock } from '../../core/clock.ts';
import { Problem } from '../../core/problem.ts';
import { readPrivateKey, requiredMembers, thumbprintOf } from '../../core/private-key-file.ts';
import { Secret } from '../../core/secret.ts';
import type { OutboundFetch } from '../outbound-fetch.ts';
import { allowInsecure } from './allow-insecure.ts';
import { fetchForOidc } from './fetch-for-oidc.ts';
import { SignInRefused } from './sign-in-refused.ts';
import type { SignInAttempt } from './sign-in-attempt.ts';

export interface IssuerClientDeps {
  readonly operators: Pick<OperatorsConfig, 'issuer'>;
  readonly signIn: SignInConfig;
  /** Where browsers reach the broker. */
  readonly publicUrl: string;
  readonly outboundFetch: OutboundFetch;
  /** In development an issuer may be asked without TLS; the configuration refuses it in production. */
  readonly allowHttp: boolean;
  readonly clock: Clock;
}

/** Where the issuer sends a browser back to, at the broker. */
export const CALLBACK_PATH = '/auth/callback';

/** What the issuer says of itself is asked for again after this long. */
const MAX_AGE_MS = 600_000;

/** The broker as a client of the operators' issuer: OpenID Connect's authorization code flow, with PKCE. */
export type IssuerClient = ReturnType<typeof createIssuerClient>;

export function createIssuerClient({ operators, signIn, publicUrl, outboundFetch, allowHttp, clock }: IssuerClientDeps) {
  const fetch = fetchForOidc(outboundFetch);
  const redirectUri = `${publicUrl.replace(/\/$/, '')}${CALLBACK_PATH}`;
  const relaxed: readonly ((client: oidc.Configuration) => void)[] = allowHttp ? [allowInsecure] : [];
  let known: { readonly at: oidc.ServerMetadata; readonly untilMs: number } | undefined;

  async function issuerMetadata(): Promise<oidc.ServerMetadata> {
    if (known !== undefined && clock.monotonicMs() < known.untilMs) return known.at;
    const discovered = await oidc.discovery(new URL(operators.issuer), signIn.client_id, undefined, undefined, {
      [oidc.customFetch]: fetch,
      execute: [...relaxed],
    });
    const at = discovered.serverMetadata();
    if (at.issuer !== operators.issuer) throw new TypeError('the discovery document names another issuer');
    known = { at, untilMs: clock.monotonicMs() + MAX_AGE_MS };
    return at;
  }

  /** The secret and the key are read at each use, so that they can be replaced. */
  async function configuration(): Promise<oidc.Configuration> {
    const at = await issuerMetadata().catch((cause: unknown) => {
      throw new Problem('identity_unavailable', "the operators' issuer cannot be reached, so nobody can sign in now; sessions and tokens that are good stay good", { cause, retryAfterSeconds: 5 });
    });
    return clientAt(at, await clientAuthentication(signIn));
  }

  function clientAt(at: oidc.ServerMetadata, authentication?: oidc.ClientAuth): oidc.Configuration {
    const client = new oidc.Configuration(at, signIn.client_id, undefined, authentication);
    client[oidc.customFetch] = fetch;
    for (const relax of relaxed) relax(client);
    return client;
  }

  return {
    /** What the issuer says of itself. Throws what is in the way. */
    metadata: issuerMetadata,

    /** Whether the issuer takes the broker's proof of who it is: asked with a code that nobody was given. Null where its answer does not tell. Throws where it is not reached. */
    async isAccepted(): Promise<boolean | null> {
      try {
        await oidc.genericGrantRequest(await configuration(), 'authorization_code', { code: 'nobody-was-given-this', redirect_uri: redirectUri, code_verifier: oidc.randomPKCECodeVerifier() });
        return null;
      } catch (error) {
        if (error instanceof oidc.WWWAuthenticateChallengeError) return false;
        if (!(error instanceof oidc.ResponseBodyError)) throw error;
        if (error.error === 'invalid_grant') return true;
        return error.error === 'invalid_client' || error.error === 'unauthorized_client' ? false : null;
      }
    },

    /** Where to send the browser. `fresh` asks the issuer to let nobody in whom it remembers. Throws `identity_unavailable`. */
    async authorizationUrl({ state, nonce, verifier }: Pick<SignInAttempt, 'state' | 'nonce' | 'verifier'>, fresh: boolean): Promise<URL> {
      return oidc.buildAuthorizationUrl(await configuration(), {
        redirect_uri: redirectUri,
        scope: [...new Set(['openid', ...signIn.scopes])].join(' '),
        state,
        nonce,
        code_challenge: await oidc.calculatePKCECodeChallenge(verifier.expose()),
        code_challenge_method: 'S256',
        ...(fresh ? { prompt: 'login' } : {}),
      });
    },

    /**
     * What the issuer gives for what the browser brought back: an id token that is not verified yet, but for its nonce, times
     * and audience. The answer's `iss` must be the issuer's (RFC 9207). Throws `sign_in_refused` or `identity_unavailable`.
     *
     * @param query of the callback, as it came.
     */
    async redeem(query: string, { state, nonce, verifier }: SignInAttempt): Promise<Secret> {
      const client = await configuration();
      const came = new URL(redirectUri);
      came.search = query;
      try {
        const answer = await oidc.authorizationCodeGrant(client, came, { expectedState: state, expectedNonce: nonce, pkceCodeVerifier: verifier.expose(), idTokenExpected: true });
        return new Secret(answer.id_token ?? '');
      } catch (error) {
        throw refusalOf(error);
      }
    },

    /** Where the person can end the issuer's own session (OpenID Connect RP-Initiated Logout 1.0); null where the issuer offers none or cannot be asked. */
    async endSessionUrl(): Promise<string | null> {
      // The session here has ended already: what the issuer has to offer beyond that must not make it look otherwise.
      const at = await issuerMetadata().catch(() => null);
      if (at?.end_session_endpoint === undefined) return null;
      return oidc.buildEndSessionUrl(clientAt(at), { post_logout_redirect_uri: new URL('/', publicUrl).href }).href;
    },
  };
}

async function clientAuthentication({ client_secret_file: secretFile, client_secret_by: by, client_key_file: keyFile }: SignInConfig): Promise<oidc.ClientAuth> {
  if (keyFile !== undefined) return oidc.PrivateKeyJwt(await clientKey(keyFile));
  // The configuration is refused without either.
  const secret = readFileSync(secretFile ?? '', 'utf8').trim();
  return by === 'post' ? oidc.ClientSecretPost(secret) : oidc.ClientSecretBasic(secret);
}

async function clientKey(file: string): Promise<oidc.PrivateKey> {
  const key = readPrivateKey(file);
  const isEc = createPublicKey(key).asymmetricKeyType === 'ec';
  const algorithm = isEc ? { name: 'ECDSA', namedCurve: 'P-256' } : { name: 'Ed25519' };
  return { key: await crypto.subtle.importKey('pkcs8', key.export({ type: 'pkcs8', format: 'der' }), algorithm, false, ['sign']), kid: thumbprintOf(requiredMembers(key)) };
}

/** In our own words: what the issuer wrote is for the log. */
function refusalOf(error: unknown): Problem {
  if (error instanceof oidc.AuthorizationResponseError) {
    const declined = error.error === 'access_denied';
    return declined ? new SignInRefused('declined', 'the issuer did not let the person in', { cause: error }) : new SignInRefused('issuer_refused', 'the issuer refused the request for a sign-in', { cause: error });
  }
  if (error instanceof oidc.ResponseBodyError && error.error === 'invalid_grant') return new SignInRefused('wrong_answer', 'the issuer no longer takes the code; start again', { cause: error });
  if (error instanceof oidc.ResponseBodyError || error instanceof oidc.WWWAuthenticateChallengeError) {
    return new SignInRefused('issuer_refused', 'the issuer did not accept the broker as its client; an operator must look', { cause: error });
  }
  if (error instanceof oidc.ClientError && error.code !== undefined && /^OAUTH_(INVALID_RESPONSE|JWT_|RESPONSE_IS_NOT_CONFORM|PARSE_ERROR|WWW_)/.test(error.code)) {
    return new SignInRefused('wrong_answer', 'what came back is not what was asked for: of another attempt, another issuer, or changed on the way', { cause: error });
  }
  return new Problem('identity_unavailable', "the operators' issuer did not answer, so nobody can sign in now; sessions and tokens that are good stay good", { cause: error, retryAfterSeconds: 5 });
}
