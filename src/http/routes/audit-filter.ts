import { z } from 'zod';
import type { AuditFilter } from '../../audit/search-audit.ts';
import { instant } from '../../task/declaration.ts';
import { given } from '../query.ts';

const text = z.string().min(1).max(2_048);

/** What a query can ask of audit records; all that is given must fit. */
export const auditFilterQuery = {
  task: text.optional(),
  tree: text.optional().describe('a root task: all that was declared, granted, refused and ended in its tree'),
  lease: text.optional(),
  agent: text.optional(),
  purpose: text.optional(),
  type: z.string().regex(/^[a-z_]+(\.[a-z_]+)?$/, 'an event type, or the part before its dot').optional(),
  decision: text.optional().describe('the id of a decision, or its result: `permit`, `deny`, `approval_required`'),
  owner: text.optional().describe('who answers for the agent'),
  trace_id: z.string().regex(/^[0-9a-f]{32}$/, 'a W3C trace id: 32 hexadecimal digits').optional(),
  text: z.string().min(3).max(256).optional().describe('anywhere in the record, in these very letters'),
  since: instant.optional(),
  until: instant.optional(),
};

export function auditFilterOf({ since, until, trace_id: traceId, ...words }: z.infer<z.ZodObject<typeof auditFilterQuery>>): AuditFilter {
  const instants = { sinceMs: since === undefined ? undefined : Date.parse(since), untilMs: until === undefined ? undefined : Date.parse(until) };
  return given({ ...words, traceId, ...instants });
}
