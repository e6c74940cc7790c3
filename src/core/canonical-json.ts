import { createHash } from 'node:crypto';

/**
 * RFC 8785 canonical JSON: the same value always gives the same bytes, so it can be hashed. Strings and numbers as
 * ECMAScript writes them, members sorted by UTF-16 code units. Throws `TypeError` for what has no JSON form.
 */
export function canonicalJson(value: unknown): string {
  if (typeof value === 'object' && value !== null) {
    if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
    if (hasJsonForm(value)) return canonicalJson(value.toJSON());
    const members = Object.entries(value).filter((entry) => entry[1] !== undefined);
    members.sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${members.map(([key, inner]) => `${JSON.stringify(key)}:${canonicalJson(inner)}`).join(',')}}`;
  }
  const text = typeof value === 'number' && !Number.isFinite(value) ? undefined : (JSON.stringify(value) as string | undefined);
  if (text === undefined) throw new TypeError('the value has no JSON form');
  return text;
}

const hasJsonForm = (value: object): value is { toJSON(): unknown } => 'toJSON' in value && typeof value.toJSON === 'function';

/** `sha256:` and the hexadecimal SHA-256 of the canonical JSON. */
export function digestOf(value: unknown): string {
  return `sha256:${createHash('sha256').update(canonicalJson(value)).digest('hex')}`;
}
