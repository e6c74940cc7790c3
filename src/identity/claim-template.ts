import { claimAt } from './claim-at.ts';

/** A name made of claims: literal text, and claims by their path. */
export type ClaimTemplate = readonly (string | { readonly claim: string })[];

/** Letters that an encoded value can hold. */
const ENCODED = 'A-Za-z0-9_.%-';
const SEPARATOR = new RegExp(`[^${ENCODED}]`);
/** A value of a claim that may become part of a name. */
const VALUE = /^\P{Cc}{1,512}$/u;

/** Parses `agent:{repository_id}`; a text that says what is wrong with it otherwise. */
export function parseTemplate(text: string): ClaimTemplate | string {
  const parts = text.split(/(\{[^{}]*\})/).filter((part) => part !== '').map((part) => (part.startsWith('{') && part.endsWith('}') ? { claim: part.slice(1, -1) } : part));
  if (parts.some((part) => typeof part === 'string' && /[{}]/.test(part))) return 'has a brace without its partner';
  if (parts.some((part) => typeof part !== 'string' && part.claim.trim() === '')) return 'has braces without a claim in them';
  if (/\p{Cc}/u.test(text)) return 'must not hold control characters';
  // Else `{a}-{b}` would make one name of `x-y`, `z` and of `x`, `y-z`.
  const claims = parts.flatMap((part, index) => (typeof part === 'string' ? [] : [index]));
  const apart = claims.every((index, order) => order === 0 || SEPARATOR.test(textOf(parts[index - 1])));
  return apart ? parts : 'needs a separator such as `:` or `/` between two claims, one that no encoded value can hold';
}

const textOf = (part: ClaimTemplate[number] | undefined): string => (typeof part === 'string' ? part : '');

/**
 * The name that claims make; undefined where one of them is missing or is no plain value. Different values make different
 * names: in a template of several parts each is percent-encoded, so that none can pose as a separator. One that stands alone is
 * taken as it is.
 */
export function fillTemplate(template: ClaimTemplate, claims: unknown): string | undefined {
  const alone = template.length === 1;
  const filled = template.map((part) => {
    if (typeof part === 'string') return part;
    const value = plain(claimAt(claims, part.claim));
    return value === undefined || alone ? value : encodeURIComponent(value).replaceAll(/[!~*'()]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
  });
  return filled.includes(undefined) ? undefined : filled.join('');
}

function plain(value: unknown): string | undefined {
  const text = Number.isSafeInteger(value) || typeof value === 'boolean' ? String(value) : value;
  return typeof text === 'string' && text.isWellFormed() && VALUE.test(text) ? text : undefined;
}
