import { Router } from 'express';
import { z } from 'zod';
import { findRecord, NoProof, proveConsistency, proveRecords, signedNoteOf } from '../../audit/prove-records.ts';
import type { StatedRecord } from '../../audit/read-range.ts';
import { Problem } from '../../core/problem.ts';
import type { Authenticator } from '../../identity/caller.ts';
import { authenticateOperator } from '../authenticate.ts';
import { parseQuery } from '../query.ts';
import { readingAudit } from '../reading-audit.ts';

export interface AuditProofRoutesDeps {
  readonly authenticator: Authenticator;
  /** The audit file, where this process can read it. */
  readonly file: string | null;
}

/** Each that is named by an event id is looked for in the whole log: 20 at most. Bounded by its pattern alone: a text of 2,048 characters can be more than a request line holds. */
const RECORDS = /^[\w.-]{1,64}(,[\w.-]{1,64}){0,19}$/;

export const auditProofQuery = {
  record: z
    .string()
    .regex(RECORDS, 'the `seq` of a record or the id of its event, or up to 20 of them with commas between')
    .transform((text) => [...new Set(text.split(','))])
    .describe('the `seq` of a record or the id of its event; up to 20, with commas between'),
};

const size = z.coerce.number().int().min(1).max(Number.MAX_SAFE_INTEGER);
export const auditConsistencyQuery = {
  from: size.describe('the number of records in the older checkpoint: the second line of its note'),
  to: size.optional().describe('that of the newer one; the newest checkpoint when absent'),
};

/** `/v1/audit/proof` and `/v1/audit/consistency`: what `mayfly audit prove` and `consistency` write, for whoever does not have the files. */
export function auditProofRoutes({ authenticator, file }: AuditProofRoutesDeps): Router {
  const router = Router();

  router.get('/v1/audit/proof', async (request, response) => {
    await authenticateOperator(request, authenticator, 'viewer');
    const { record: names } = parseQuery(request, auditProofQuery);
    const bundle = await proving(file, async (path) => {
      const records: StatedRecord[] = [];
      for (const name of names) {
        const record = await findRecord(path, name);
        if (record === undefined) throw new Problem('not_found', `there is no record ${name}`);
        records.push(record);
      }
      return proveRecords(path, records);
    });
    response.json(bundle);
  });

  router.get('/v1/audit/consistency', async (request, response) => {
    await authenticateOperator(request, authenticator, 'viewer');
    const { from, to } = parseQuery(request, auditConsistencyQuery);
    const bundle = await proving(file, async (path) => proveConsistency(path, await signedNoteOf(path, from), to === undefined ? undefined : await signedNoteOf(path, to)));
    response.json(bundle);
  });

  return router;
}

const proving = <T>(file: string | null, prove: (path: string) => Promise<T>): Promise<T> =>
  readingAudit(file, async (path) => {
    try {
      return await prove(path);
    } catch (error) {
      throw error instanceof NoProof ? new Problem('not_proven', error.message) : error;
    }
  });
