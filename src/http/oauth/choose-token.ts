import type { GrantDeps } from '../../grant/grant-deps.ts';
import type { JwtProvider } from '../../providers/jwt/jwt-provider.ts';
import { isResource, type TaskDetails } from '../../task/authorization-details.ts';
import { OAuthError } from './oauth-error.ts';

export interface ChooseTokenDeps {
  readonly grant: Pick<GrantDeps, 'catalog' | 'limits'>;
  readonly jwtProviders: readonly JwtProvider[];
  readonly issuer: string | null;
}

export interface ChosenToken {
  /** A credential of kind `jwt`. */
  readonly credential: string;
  readonly audience: string;
  readonly ttlSeconds: number;
  /** Whether whoever gets it can read it: it is signed, and not a reference. */
  readonly selfContained: boolean;
  /** Whether it is a transaction token: it goes with a call, and proves nothing of who makes it. */
  readonly forTransaction: boolean;
}

export interface Wanted {
  readonly details: TaskDetails;
  /** Values of `resource` (RFC 8707). */
  readonly resources: readonly string[];
  /** Every word of the request on whom the token is for. */
  readonly targets: readonly string[];
  /** Whether a transaction token is asked for; where it is, no other is given, and none where it is not. */
  readonly forTransaction: boolean;
}

/**
 * The one configured token that is meant: by its audience, and by its name where several are for one audience. Throws
 * `invalid_target` where none is for that audience or nobody can tell which, `invalid_authorization_details` for a name
 * that is none.
 */
export function chooseToken({ details, resources, targets, forTransaction }: Wanted, { grant, jwtProviders, issuer }: ChooseTokenDeps): ChosenToken {
  if (!resources.every(isResource)) throw new OAuthError('invalid_target', 'resource must be an absolute URI without a fragment');
  const [target, ...others] = new Set(targets);
  // A token for two resources could be used by each of them at the other.
  if (others.length > 0) throw new OAuthError('invalid_target', 'a token is for one resource');
  const providers = jwtProviders.filter((provider) => provider.issuer === issuer).map(({ name }) => name);
  const tokens = [...grant.catalog.values()].flatMap(({ name, config }) => (config.kind === 'jwt' && config.transaction_token === forTransaction && providers.includes(config.provider) ? [{ name, config }] : []));
  if (details.credential !== undefined && !tokens.some(({ name }) => name === details.credential)) {
    throw new OAuthError('invalid_authorization_details', `credential is not a configured ${forTransaction ? 'transaction token' : 'credential of kind jwt'}`);
  }
  const fitting = tokens.filter(({ name, config }) => (target === undefined || config.audience === target) && (details.credential === undefined || name === details.credential));
  const [chosen, ...rivals] = fitting;
  if (chosen === undefined) throw new OAuthError('invalid_target', `no ${forTransaction ? 'transaction token is configured for this audience' : 'token is configured for this resource'}`);
  if (rivals.length > 0) throw new OAuthError('invalid_target', 'say who the token is for by resource, and which by credential where several are for it');
  const { audience, max_ttl_seconds: most, introspection_required: opaque } = chosen.config;
  const usualSeconds = Math.min(grant.limits.default_ttl_seconds, most ?? Infinity);
  return { credential: chosen.name, audience, ttlSeconds: details.ttl_seconds ?? usualSeconds, selfContained: !opaque, forTransaction };
}
