import { randomBytes } from 'node:crypto';
import type { ServerMetadata } from 'openid-client';
import type { Config, SignInConfig } from '../config/config-schema.ts';
import { systemClock } from '../core/clock.ts';
import { Secret } from '../core/secret.ts';
import { OutboundRefused, RedirectRefused, type OutboundFetch } from '../identity/outbound-fetch.ts';
import { createIssuerClient, type IssuerClient } from '../identity/sign-in/issuer-client.ts';
import { failure, ok, skipped, warning, type Check, type Finding } from './check.ts';

type Settings = Pick<Config, 'operators' | 'http' | 'environment'>;

/** Whether people can sign in with a browser, as far as that can be told without one. Nobody is signed in. */
export const signInChecks = ({ operators, http, environment }: Settings, outboundFetch: OutboundFetch): Check[] => {
  const { sign_in: signIn } = operators;
  const { public_url: publicUrl } = http;
  if (signIn === undefined || publicUrl === undefined) return [];
  const client = createIssuerClient({ operators, signIn, publicUrl, outboundFetch, allowHttp: environment === 'development', clock: systemClock });
  return [
    {
      area: 'sign_in',
      async look(signal) {
        let found: ServerMetadata;
        try {
          found = await client.metadata();
        } catch (error) {
          return [failure('sign_in.issuer', `${operators.issuer}: ${wordsOf(error)}`, 'mend the issuer, or operators.issuer; a private address needs outbound.allow_private_addresses')];
        }
        const endpoints = endpointsOf(found);
        if (endpoints.standing !== 'ok') return [endpoints];
        return [endpoints, await clientFinding(client, signIn), await redirectFinding(client, outboundFetch, signal), ...claimFindings(found, operators.roles_claim, signIn.scopes)];
      },
    },
  ];
};

function endpointsOf({ authorization_endpoint: authorize, token_endpoint: token, code_challenge_methods_supported: challenges, issuer }: ServerMetadata): Finding {
  const check = 'sign_in.issuer';
  if (authorize === undefined || token === undefined) return failure(check, `${issuer} offers no authorization code flow`, 'enable it at the issuer');
  if (challenges !== undefined && !challenges.includes('S256')) return failure(check, `${issuer} takes no PKCE with S256`, 'enable it at the issuer');
  return ok(check, `${issuer} offers the authorization code flow`);
}

/** Shows the client's proof with a code that nobody was given: whoever refuses the code has accepted the client. */
async function clientFinding(client: IssuerClient, { client_id: id, client_key_file: keyFile, client_secret_by: by }: SignInConfig): Promise<Finding> {
  const check = 'sign_in.client';
  try {
    const accepted = await client.isAccepted();
    if (accepted === null) return warning(check, `${id}: the issuer does not say whether it accepts it`, 'sign in once, and look at the log of the broker');
    if (accepted) return ok(check, `${id} is accepted`);
    const proof = keyFile === undefined ? `client_secret_file, and client_secret_by (now ${by})` : 'client_key_file, and the public key that the issuer has of it';
    return failure(check, `the issuer does not accept ${id}`, `look at operators.sign_in.client_id, ${proof}`);
  } catch (error) {
    return failure(check, `the token endpoint is not reached: ${wordsOf(error)}`, causeOf(error) instanceof OutboundRefused ? 'add its host to outbound.allow_hosts' : 'look at the way there, and operators.ca_file');
  }
}

/** Goes where a browser is sent: an issuer that does not know where it would come back to says so at once. */
async function redirectFinding(client: IssuerClient, outboundFetch: OutboundFetch, signal: AbortSignal): Promise<Finding> {
  const check = 'sign_in.redirect';
  const random = (): string => randomBytes(32).toString('base64url');
  const url = await client.authorizationUrl({ state: random(), nonce: random(), verifier: new Secret(random()) }, false);
  const redirectUri = url.searchParams.get('redirect_uri') ?? '';
  try {
    const { status } = await outboundFetch(url.href, { signal, accept: 'text/html' });
    return status < 400 ? ok(check, `the issuer sends people back to ${redirectUri}`) : failure(check, `the issuer answers ${status} to a sign-in that comes back to ${redirectUri}`, 'register this redirect URI for the client, byte for byte, or mend http.public_url');
  } catch (error) {
    // A redirect leads on to its own pages.
    if (error instanceof RedirectRefused) return ok(check, `the issuer leads a sign-in that comes back to ${redirectUri} on to its own pages`);
    return skipped(check, `the issuer's page is not reached from here: ${wordsOf(error)}`, 'people reach it with their browsers; if they cannot sign in, look at the redirect URI of the client');
  }
}

function claimFindings({ claims_supported: claims, scopes_supported: scopes }: ServerMetadata, rolesClaim: string, asked: readonly string[]): Finding[] {
  const unknown = scopes === undefined ? undefined : asked.find((scope) => !scopes.includes(scope));
  const isListed = claims?.some((claim) => rolesClaim === claim || rolesClaim.startsWith(`${claim}.`));
  return [
    ...(unknown === undefined ? [] : [warning('sign_in.scopes', `the issuer does not list the scope ${unknown}`, 'look at operators.sign_in.scopes; not every issuer lists all')]),
    isListed === true
      ? ok('sign_in.roles', `the issuer lists the claim ${rolesClaim}`)
      : skipped('sign_in.roles', `the issuer does not say whether its id tokens have the claim ${rolesClaim}`, 'sign in once: who has no role is told so; map the roles into the id token, or mend operators.roles_claim'),
  ];
}

/** The library wraps what its fetch rejects with. */
const causeOf = (error: unknown): unknown => (error instanceof Error && error.cause instanceof Error ? error.cause : error);

function wordsOf(error: unknown): string {
  const cause = causeOf(error);
  return cause instanceof Error ? cause.message : String(cause);
}
