import { Router } from 'express';
import { z } from 'zod';
import { lastCheckpoint } from '../../audit/checkpoint-file.ts';
import { searchAudit } from '../../audit/search-audit.ts';
import { Problem } from '../../core/problem.ts';
import { instant } from '../../task/declaration.ts';
import { authenticateOperator } from '../authenticate.ts';
import { given, parseQuery } from '../query.ts';
import { readingAudit } from '../reading-audit.ts';
import { auditStoryRoutes, type AuditStoryRoutesDeps } from './audit-story.ts';

export interface AuditRoutesDeps extends AuditStoryRoutesDeps {
  /** Public halves of every checkpoint key, the one that signs first. */
  readonly verifierKeys: readonly string[];
}

const text = z.string().min(1).max(2_048);
export const auditQuery = {
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
  order: z.enum(['newest', 'oldest']).default('newest'),
  cursor: z.string().regex(/^\d{1,15}$/, 'a cursor from an earlier answer').optional(),
  limit: z.coerce.number().int().min(1).max(500).default(50),
};

/** `/v1/audit`: what is on the record, the story of an agent, and the newest signed checkpoint; for operators. */
export function auditRoutes(deps: AuditRoutesDeps): Router {
  const { authenticator, file, verifierKeys } = deps;
  const router = Router();
  router.use(auditStoryRoutes(deps));

  router.get('/v1/audit', async (request, response) => {
    await authenticateOperator(request, authenticator, 'viewer');
    const { since, until, order, cursor, limit, trace_id: traceId, ...words } = parseQuery(request, auditQuery);
    const instants = { sinceMs: since === undefined ? undefined : Date.parse(since), untilMs: until === undefined ? undefined : Date.parse(until) };
    const filter = given({ ...words, traceId, ...instants });
    const options = { afterSeq: cursor === undefined ? undefined : Number(cursor), newestFirst: order === 'newest', limit };
    const { items, nextSeq } = await readingAudit(file, (path) => searchAudit(path, filter, options));
    response.json({ items, next_cursor: nextSeq === null ? null : String(nextSeq) });
  });

  router.get('/v1/audit/checkpoint', async (request, response) => {
    await authenticateOperator(request, authenticator, 'viewer');
    const newest = await readingAudit(file, lastCheckpoint);
    if (newest === undefined) throw new Problem('not_found', 'there is no checkpoint yet: none is signed without keys.checkpoint_key_files, and the first comes with the first record');
    response.json({ at: newest.at, note: newest.note, verifier_keys: verifierKeys });
  });

  return router;
}
