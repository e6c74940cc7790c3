import type { Presented } from '../../src/identity/presented.ts';

/** A request with nothing but a bearer token, or with what is given besides. */
export const bearer = (token: string, more: Partial<Presented> = {}): Presented => ({
  authorization: { scheme: 'bearer', token },
  dpopProofs: [],
  method: 'GET',
  path: '/v1/whoami',
  certificates: null,
  session: null,
  ...more,
});
