import type { Config } from './config-schema.ts';

/**
 * Where enforcement points find this broker: `authzen.url`, else `http.public_url` where that is a host and nothing after it, as
 * metadata is found by the host alone (AuthZEN 1.0 section 9.1). Undefined where neither says.
 */
export function authzenUrlOf({ authzen, http: { public_url: publicUrl } }: Pick<Config, 'authzen' | 'http'>): string | undefined {
  if (authzen.url !== undefined || publicUrl === undefined) return authzen.url;
  const { origin, href } = new URL(publicUrl);
  return href === `${origin}/` ? origin : undefined;
}
