import type { JWTPayload } from 'jose';
import type { Config } from '../config/config-schema.ts';
import type { Clock } from '../core/clock.ts';
import { addSeconds, type EpochMs } from '../core/time.ts';
import type { Workload } from './caller.ts';
import { clientKeys } from './client-keys.ts';
import type { KeyLog } from './public-keys.ts';
import { refused, SKEW_SECONDS, verifyToken, type TokenExpectation } from './verify-token.ts';

export interface ClientAssertionDeps {
  readonly oauth: Pick<Config['oauth'], 'clients' | 'max_assertion_seconds'>;
  /** What an assertion may name as its audience: the issuer of the authorization server, or its token endpoint (RFC 7523 section 3). */
  readonly audiences: readonly string[];
  /** True for the first who asks, over all replicas; false ever after. */
  readonly useOnce: (what: string, untilMs: EpochMs) => Promise<boolean>;
  readonly clock: Clock;
  readonly log: KeyLog;
}

export interface ClientAssertions {
  /** Whether a client of this name has keys of its own. */
  knows(clientId: unknown): clientId is string;
  /**
   * Who the client is that signed an assertion (RFC 7523 section 3): `iss` and `sub` are its name, the audience is ours, it
   * has not expired, and its `jti` was never seen. Throws `invalid_token`, `identity_unavailable` or `ledger_unavailable`.
   */
  verify(assertion: string, claimed: JWTPayload & { readonly iss: string }): Promise<Workload>;
}

/** `client-authentication+jwt` is what RFC 7523's successor will name it. An access token is none of these. */
const TYPES = ['JWT', 'jwt', 'client-authentication+jwt'];
const MAX_JTI_CHARS = 255;

/** Clients that sign assertions with keys of their own. */
export function createClientAssertions(deps: ClientAssertionDeps): ClientAssertions {
  const { clock } = deps;
  const clients = new Map(deps.oauth.clients.map((client) => [client.client_id, { ...client, keyFor: clientKeys(client, clock, deps.log) }]));
  const [issuer = ''] = deps.audiences;

  return {
    knows: (clientId): clientId is string => typeof clientId === 'string' && clients.has(clientId),
    async verify(assertion, claimed) {
      const client = clients.get(claimed.iss);
      if (client === undefined) throw refused('its client is not known here');
      const expectation: TokenExpectation = {
        issuer: client.client_id,
        // Of several names for us, the one that it claims; the token is then held to exactly that.
        audience: deps.audiences.find((audience) => audience === claimed.aud) ?? issuer,
        algorithms: client.algorithms,
        types: TYPES,
        requireKid: false,
        maxLifetimeSeconds: deps.oauth.max_assertion_seconds,
        keyFor: client.keyFor,
      };
      const { subject, claims, expiresAtMs } = await verifyToken(assertion, expectation, clock.now());
      if (subject !== client.client_id) throw refused('its iss and sub differ');
      const { jti } = claims;
      if (typeof jti !== 'string' || jti === '' || jti.length > MAX_JTI_CHARS) throw refused('it has no jti');
      const isNew = await deps.useOnce(JSON.stringify(['client_assertion', client.client_id, jti]), addSeconds(expiresAtMs, SKEW_SECONDS));
      if (!isNew) throw refused('it was used before');
      return { kind: 'workload', ...client.workload, instance: null, senderBound: false, tokenExpiresAtMs: expiresAtMs };
    },
  };
}
