import { z } from 'zod';

/** The schema below optional, default and prefault. */
export function unwrap(schema: z.ZodType): z.ZodType {
  return schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault
    ? unwrap(schema.unwrap() as z.ZodType)
    : schema;
}

/**
 * The keys a mapping may have at this schema, with the schema of each. Of a union, those of the form that `value` names
 * by its discriminator, or those of all forms where it names none. Undefined where no closed list of keys applies.
 */
export function keysOf(schema: z.ZodType, value: unknown): ReadonlyMap<string, z.ZodType> | undefined {
  const inner = unwrap(schema);
  if (inner instanceof z.ZodObject) return new Map(Object.entries(inner.shape));
  if (!(inner instanceof z.ZodDiscriminatedUnion)) return undefined;
  const forms = inner.options.filter((option): option is z.ZodObject => option instanceof z.ZodObject);
  const named = forms.filter((form) => names(form, inner.def.discriminator, value));
  return new Map((named.length > 0 ? named : forms).flatMap((form) => Object.entries(form.shape as Record<string, z.ZodType>)));
}

/** The schema of what stands under `key`. Undefined where the schema knows no such key. */
export function childOf(schema: z.ZodType, key: string | number, value: unknown): z.ZodType | undefined {
  const inner = unwrap(schema);
  if (inner instanceof z.ZodRecord) return inner.valueType as z.ZodType;
  if (inner instanceof z.ZodArray) return inner.element as z.ZodType;
  return keysOf(inner, value)?.get(String(key));
}

/** What stands under `key`, if anything does. */
export const valueAt = (value: unknown, key: string | number): unknown =>
  typeof value === 'object' && value !== null && Object.hasOwn(value, key) ? (value as Record<string | number, unknown>)[key] : undefined;

/** The closest of the known words, if it is close enough to be what was meant. */
export function closestTo(word: string, known: Iterable<string>): string | undefined {
  // Two letters swapped are a distance of two.
  const limit = word.length < 4 ? 1 : Math.max(2, Math.floor(word.length / 3));
  let best: { readonly candidate: string; readonly distance: number } | undefined;
  for (const candidate of known) {
    const distance = editDistance(word, candidate);
    if (distance <= limit && (best === undefined || distance < best.distance)) best = { candidate, distance };
  }
  return best?.candidate;
}

function names(form: z.ZodObject, discriminator: string, value: unknown): boolean {
  const literal = (form.shape as Record<string, z.ZodType>)[discriminator];
  const named = valueAt(value, discriminator);
  return literal instanceof z.ZodLiteral && typeof named === 'string' && literal.values.has(named);
}

/** Levenshtein's distance, row by row. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 0; i < a.length; i += 1) {
    const next = [i + 1];
    for (let j = 0; j < b.length; j += 1) {
      const replaced = (row[j] ?? 0) + (a[i] === b[j] ? 0 : 1);
      next.push(Math.min(replaced, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
