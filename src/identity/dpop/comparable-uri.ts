/** What RFC 3986 allows in an absolute http URI with a host and without a user: nothing that a lenient parser would repair. */
const FORM = /^https?:\/\/[\w.~!$&'()*+,;=:[\]%-]+(?:[/?#][\w.~!$&'()*+,;=:@/?#[\]%-]*)?$/i;
const UNRESERVED = /^[\w.~-]$/;

/**
 * An http URI without query and fragment in a form that is equal for equal URIs: after syntax-based and scheme-based
 * normalisation (RFC 3986 sections 6.2.2 and 6.2.3; RFC 9449 section 4.3). `undefined` for what is no such URI.
 */
export function comparableUri(text: string): string | undefined {
  if (text.length > MAX_CHARS || !FORM.test(text) || /%(?![0-9a-f]{2})/i.test(text)) return undefined;
  // First, since `%2e` is a dot, and dots are what the next step removes.
  const decoded = text.replaceAll(/%[0-9a-f]{2}/gi, (escape) => {
    const char = String.fromCharCode(Number.parseInt(escape.slice(1), 16));
    return UNRESERVED.test(char) ? char : escape.toUpperCase();
  });
  const url = URL.parse(decoded);
  return url === null ? undefined : `${url.origin}${url.pathname}`;
}

/** No honest path of ours is longer. */
const MAX_CHARS = 4_096;
