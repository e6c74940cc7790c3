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

/** What vouches for a SPIFFE ID: its own trust domain alone, as `spiffe://example.org`. `undefined` for any other subject. */
export function issuerOfSpiffeId(subject: string): string | undefined {
  const id = parseWorkloadId(subject);
  return id === undefined ? undefined : `spiffe://${id.trustDomain}`;
}

/**
 * Whether a text poses as a SPIFFE ID, well-formed or not, in any case of letters. Such a subject is judged as a SPIFFE
 * ID or not at all: `SPIFFE://example.org/a` must not slip through as some other name that a human reads as the same.
 */
export const posesAsSpiffeId = (text: string): boolean => /^\s*spiffe:/i.test(text);

/** Parses the SPIFFE ID of a workload: one with a path (JWT-SVID section 3.1). `undefined` for all else. */
export function parseWorkloadId(text: string): SpiffeId | undefined {
  const id = parseSpiffeId(text);
  return id === undefined || id.path === '' ? undefined : id;
}
