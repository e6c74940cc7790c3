import type { Request } from 'express';
import { z } from 'zod';
import { invalidRequest, parse } from '../task/declaration.ts';
import { isCursor } from '../ledger/index-pages.ts';

/** Items of a page where the caller names no limit, and at most. */
const DEFAULT_LIMIT = 50;
const MAX_LIMIT = 500;

/** What a list takes besides its own filters, where a page can have so many items. */
export const pageQueryUpTo = (most: number) => ({
  cursor: z.string().refine(isCursor, 'a cursor from an earlier answer').optional(),
  limit: z.coerce.number().int().min(1).max(most).default(DEFAULT_LIMIT),
});

/** What every other list takes. */
export const pageQuery = pageQueryUpTo(MAX_LIMIT);

/** Parses the query string; unknown and repeated parameters are faults, as in a body. */
export function parseQuery<Shape extends z.ZodRawShape>(request: Request, shape: Shape): z.infer<z.ZodObject<Shape>> {
  const query: Record<string, unknown> = { ...request.query };
  const repeated = Object.keys(query).filter((key) => typeof query[key] !== 'string');
  if (repeated.length > 0) throw invalidRequest(repeated.map((key) => ({ pointer: `/${key}`, detail: 'may be given once, as plain text' })));
  return parse(z.strictObject(shape), query);
}

/** Drops what was not given, so that an absent filter is absent and not `undefined`. */
export function given<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter((entry) => entry[1] !== undefined)) as { [K in keyof T]?: Exclude<T[K], undefined> };
}
