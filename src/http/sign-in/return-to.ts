import { invalidRequest } from '../../task/declaration.ts';

const MAX_CHARS = 1_024;

/**
 * Where a person goes after signing in: a path of the broker's own, as the browser shows it. Anything that a browser could take
 * for another place is refused, so that a link to sign in never leads elsewhere. Throws `invalid_request`.
 *
 * @param publicUrl where browsers reach the broker; its own path where nothing is asked for.
 */
export function parseReturnTo(asked: string | undefined, publicUrl: string): string {
  const home = new URL(publicUrl);
  if (asked === undefined) return home.pathname;
  // Browsers take `\` for `/`, and drop tabs and line ends from within.
  const plain = asked.length <= MAX_CHARS && /^\/(?![/\\])[\x21-\x5b\x5d-\x7e]*$/.test(asked);
  const url = plain ? URL.parse(asked, home.origin) : null;
  if (url === null || url.origin !== home.origin || url.pathname.startsWith('//')) throw invalidRequest([{ pointer: '/return_to', detail: 'must be a path of this broker, as /leases?state=stuck' }]);
  return `${url.pathname}${url.search}${url.hash}`;
}
