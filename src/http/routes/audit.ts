import { Router } from 'express';
import { z } from 'zod';
import { lastCheckpoint } from '../../audit/checkpoint-file.ts';
import { searchAudit } from '../../audit/search-audit.ts';
import { Problem } from '../../core/problem.ts';
import { authenticateOperator } from '../authenticate.ts';
import { parseQuery } from '../query.ts';
import { readingAudit } from '../reading-audit.ts';
import { auditExportRoutes, type AuditExportRoutesDeps } from './audit-export.ts';
import { auditFilterOf, auditFilterQuery } from './audit-filter.ts';
import { auditProofRoutes } from './audit-proof.ts';
import { auditStoryRoutes, type AuditStoryRoutesDeps } from './audit-story.ts';

export interface AuditRoutesDeps extends AuditStoryRoutesDeps, AuditExportRoutesDeps {
  /** Public halves of every checkpoint key, the one that signs first. */
  readonly verifierKeys: readonly string[];
}

export const auditQuery = {
  ...auditFilterQuery,
  order: z.enum(['newest', 'oldest']).default('newest'),
  cursor: z.string().regex(/^\d{1,15}$/, 'a cursor from an earlier answer').optional(),
  limit: z.coerce.number().int().min(1).max(500).default(50),
};

/** `/v1/audit`: what is on the record, the story of an agent, exports, proofs and the newest signed checkpoint; for operators. */
export function auditRoutes(deps: AuditRoutesDeps): Router {
  const { authenticator, file, verifierKeys } = deps;
  const router = Router();
  router.use(auditStoryRoutes(deps), auditProofRoutes(deps), auditExportRoutes(deps));

  router.get('/v1/audit', async (request, response) => {
    await authenticateOperator(request, authenticator, 'viewer');
    const { order, cursor, limit, ...words } = parseQuery(request, auditQuery);
    const filter = auditFilterOf(words);
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
