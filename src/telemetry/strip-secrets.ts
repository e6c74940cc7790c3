/**
 * What secrets look like when they turn up where none should be. The last line of defence only: secrets are `Secret`
 * values and are never handed to a logger, so each match here is a fault elsewhere that did no harm.
 *
 * No pattern matches a quote or a backslash outside escapes it starts with, so a stripped JSON line is still JSON.
 */
const PATTERNS: readonly RegExp[] = [
  // A JWT or JWS, whole or cut: the header of each starts with `{"`, in base64url `eyJ` (RFC 7515 section 3.1).
  /eyJ[\w-]{8,}(?:\.[\w-]*){0,4}/g,
  // Our own opaque references.
  /(?<![\w-])mfr_[\w-]{20,}/g,
  // Vault and OpenBao: `hvs.`, `hvb.`, `hvr.` and the older `s.`, `b.`, `r.` tokens.
  /(?<![\w-])(?:hv[sbr]|[sbr])\.[\w-]{20,}/g,
  /-----BEGIN [A-Z ]*PRIVATE KEY-----[^"]*?(?:-----END [A-Z ]*PRIVATE KEY-----|(?="|$))/g,
  // AWS secrets have no shape of their own; their ids do, and whoever prints the id is about to print the rest.
  /(?<![A-Z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Z0-9])/g,
  /(?<=\bBearer\s)[\w.~+/=-]{8,}/gi,
  // The user part of a URL, password included (RFC 3986 section 3.2.1).
  /(?<=:\/\/)[^\s/?#"\\@]+(?=@)/g,
];

const STRIPPED = '[secret]';

/** The text with everything that looks like a token, a private key or a password in a URL replaced by `[secret]`. */
export function stripSecrets(text: string): string {
  return PATTERNS.reduce((stripped, pattern) => stripped.replace(pattern, STRIPPED), text);
}

/** Whether the text holds something that looks like a secret. */
export const looksSecret = (text: string): boolean => stripSecrets(text) !== text;
