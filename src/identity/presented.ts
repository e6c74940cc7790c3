/** All that a request shows of who sends it, as it came: nothing in it is believed yet. */
export interface Presented {
  /** The token and how it is used (RFC 6750 section 2.1, RFC 9449 section 7.1), or null without an `Authorization` header. */
  readonly authorization: { readonly scheme: 'bearer' | 'dpop'; readonly token: string } | null;
  /** Each `DPoP` header: more than one is a fault, and only who sees them all can tell. */
  readonly dpopProofs: readonly string[];
  readonly method: string;
  /** Path and query as received. */
  readonly path: string;
  /** The certificates that the client sent over TLS, in DER, its own first; null without any. That it holds its key, TLS has proved. */
  readonly certificates: readonly Uint8Array[] | null;
  /** What a browser sends by itself of a person who signed in, and by which page it was made to; null without the cookie. */
  readonly session: PresentedSession | null;
}

/** A browser attaches its cookie whoever made it send the request: it counts only with the page that did. */
export interface PresentedSession {
  readonly cookie: string;
  /** `Sec-Fetch-Site` (W3C Fetch Metadata), which no page can set; null where the browser sends none. */
  readonly site: string | null;
  readonly origin: string | null;
  /** `X-Mayfly-Request`, which no other site's page can send. */
  readonly purpose: string | null;
}
