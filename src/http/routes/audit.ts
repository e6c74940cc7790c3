import { Router } from 'express';
import { z } from 'zod';
import { lastCheckpoint } from '../../audit/checkpoint-file.ts';
import { searchAudit } from '../../audit/search-audit.ts';
import { Problem } from '../../core/problem.ts';
import type { Authenticator } from '../../identity/caller.ts';
import { instant } from '../../task/declaration.ts';
import { authenticateOperator } from '../authenticate.ts';
import { given, parseQuery } from '../query.ts';
import { readingAudit } from '../reading-audit.ts';

export interface AuditRoutesDeps {
  readonly authenticator: Authenticator;
  /** The audit file, where this process can read it; null when records go to standard output. */
  readonly file: string | null;
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
  since: instant.optional(),
  until: instant.optional(),
  order: z.enum(['newest', 'oldest']).default('newest'),
  cursor: z.string().regex(/^\d{1,15}$/, 'a cursor from an earlier answer').optional(),
  limit: z.coerce.number().int().min(1).max(500).default(50),
};

/** `/v1/audit`: what is on the record, for operators, and the newest signed checkpoint. */
export function auditRoutes({ authenticator, file, verifierKeys }: AuditRoutesDeps): Router {
  const router = Router();

  router.get('/v1/audit', async (request, response) => {
    await authenticateOperator(request, authenticator, 'viewer');
    const { task, tree, lease, agent, purpose, type, since, until, order, cursor, limit } = parseQuery(request, auditQuery);
    const instants = { sinceMs: since === undefined ? undefined : Date.parse(since), untilMs: until === undefined ? undefined : Date.parse(until) };
    const filter = given({ task, tree, lease, agent, purpose, type, ...instants });
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
