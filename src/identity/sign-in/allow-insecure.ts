import * as oidc from 'openid-client';

/**
 * Lets an issuer be asked without TLS. The library marks it so that nobody uses it without thought: only an issuer on this machine is, by
 * a broker in development and by a command line. It is known by identity.
 */
// eslint-disable-next-line @typescript-eslint/no-deprecated
export const allowInsecure: (client: oidc.Configuration) => void = oidc.allowInsecureRequests;
