import { Router } from 'express';
import { z } from 'zod';
import { EXPORT_FORMATS, exportLine } from '../../audit/export/export-records.ts';
import { recordsOf } from '../../audit/search-audit.ts';
import { Problem } from '../../core/problem.ts';
import type { Authenticator } from '../../identity/caller.ts';
import { authenticateOperator } from '../authenticate.ts';
import { parseQuery } from '../query.ts';
import { readingAudit } from '../reading-audit.ts';
import { sendLines } from '../send-lines.ts';
import { auditFilterOf, auditFilterQuery } from './audit-filter.ts';

export interface AuditExportRoutesDeps {
  readonly authenticator: Authenticator;
  /** The audit file, where this process can read it. */
  readonly file: string | null;
  /** Names the source in the formats of others. */
  readonly deploymentId: string;
  readonly version: string;
}

/** Each reads the log as fast as its reader takes it: more of them at once would slow the grants of this process. */
const MOST_AT_ONCE = 4;

export const auditExportQuery = {
  ...auditFilterQuery,
  format: z.enum(EXPORT_FORMATS).default('jsonl').describe('`jsonl`: records as they stand in the log; `ocsf`: events of OCSF 1.x; `cloudevents`: CloudEvents 1.0'),
};

/** `GET /v1/audit/export`: all that fits, oldest first, one JSON object a line. */
export function auditExportRoutes({ authenticator, file, deploymentId, version }: AuditExportRoutesDeps): Router {
  const router = Router();
  let running = 0;

  router.get('/v1/audit/export', async (request, response) => {
    await authenticateOperator(request, authenticator, 'viewer');
    const { format, ...words } = parseQuery(request, auditExportQuery);
    if (running >= MOST_AT_ONCE) throw new Problem('limit_exceeded', `${MOST_AT_ONCE} exports run on this replica: wait for one to end`, { retryAfterSeconds: 10 });
    running += 1;
    try {
      await readingAudit(file, (path) =>
        sendLines(response, async function* (signal) {
          for await (const record of recordsOf(path, auditFilterOf(words), () => { signal.throwIfAborted(); })) yield exportLine(record, format, { deploymentId, version });
        }),
      );
    } finally {
      running -= 1;
    }
  });

  return router;
}
