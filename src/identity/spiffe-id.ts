/** A parsed SPIFFE ID (SPIFFE-ID section 2). */
export interface SpiffeId {
  readonly trustDomain: string;
  /** Begins with `/`, or is empty for the trust domain itself. */
  readonly path: string;
}

/** SPIFFE-ID 2.3: an id may be this long. */
const MAX_BYTES = 2_048;
const MAX_TRUST_DOMAIN_BYTES = 255;
const FORM = /^spiffe:\/\/([a-z0-9._-]+)((?:\/[A-Za-z0-9._-]+)*)$/;

/**
 * Parses the raw string by the grammar of the specification; `undefined` when it is no SPIFFE ID. Never through `URL`,
 * which silently repairs what must be refused: dot segments, upper case, spaces, percent-encoding.
 */
export function parseSpiffeId(text: string): SpiffeId | undefined {
  if (Buffer.byteLength(text) > MAX_BYTES) return undefined;
  const match = FORM.exec(text);
  const trustDomain = match?.[1];
  const path = match?.[2];
  if (trustDomain === undefined || path === undefined || trustDomain.length > MAX_TRUST_DOMAIN_BYTES) return undefined;
  const dots = path.split('/').some((segment) => segment === '.' || segment === '..');
  return dots ? undefined : { trustDomain, path };
}
