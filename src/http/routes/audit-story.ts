import { Router } from 'express';
import { z } from 'zod';
import { readAgentStory } from '../../audit/agent-story.ts';
import type { Clock } from '../../core/clock.ts';
import { epochMsFrom, rfc3339OrNull, toRfc3339, type EpochMs } from '../../core/time.ts';
import type { Authenticator } from '../../identity/caller.ts';
import { instant, invalidRequest } from '../../task/declaration.ts';
import { authenticateOperator } from '../authenticate.ts';
import { parseQuery } from '../query.ts';
import { readingAudit } from '../reading-audit.ts';

export interface AuditStoryRoutesDeps {
  readonly authenticator: Authenticator;
  /** The audit file, where this process can read it. */
  readonly file: string | null;
  readonly clock: Pick<Clock, 'now'>;
  /** How long a task can wait and live in all. */
  readonly longestTaskMs: number;
}

/** What is told where no `since` is given. */
const DAY_MS = 86_400_000;

export const auditStoryQuery = {
  agent: z.string().min(1).max(2_048).describe('whose story: the subject of its token'),
  since: instant.optional().describe('a day before `until` when absent'),
  until: instant.optional().describe('exclusive; now when absent'),
  cursor: z.string().regex(/^\d{1,15}$/, 'a cursor from an earlier answer').optional(),
  limit: z.coerce.number().int().min(1).max(200).default(50),
};

/** `GET /v1/audit/story`: what an agent was authorised to do in a time, and why. For operators. */
export function auditStoryRoutes({ authenticator, file, clock, longestTaskMs }: AuditStoryRoutesDeps): Router {
  const router = Router();

  router.get('/v1/audit/story', async (request, response) => {
    await authenticateOperator(request, authenticator, 'viewer');
    const { agent, since, until, cursor, limit } = parseQuery(request, auditStoryQuery);
    const untilMs: EpochMs = until === undefined ? clock.now() : epochMsFrom(Date.parse(until));
    const sinceMs = since === undefined ? epochMsFrom(untilMs - DAY_MS) : epochMsFrom(Date.parse(since));
    if (sinceMs >= untilMs) throw invalidRequest([{ pointer: '/since', detail: 'must be before until' }]);
    const afterSeq = cursor === undefined ? undefined : Number(cursor);
    const { items, nextSeq, recordBeginsAtMs } = await readingAudit(file, (path) => readAgentStory(path, { agent, sinceMs, untilMs, longestTaskMs }, { afterSeq, limit }));
    response.json({
      agent,
      since: toRfc3339(sinceMs),
      until: toRfc3339(untilMs),
      record_begins_at: rfc3339OrNull(recordBeginsAtMs === null ? null : epochMsFrom(recordBeginsAtMs)),
      items,
      next_cursor: nextSeq === null ? null : String(nextSeq),
    });
  });

  return router;
}
