import { z } from 'zod';
import { revocationRequest } from '../../revocation/request-revocation.ts';
import { revocationIdSchema } from '../answer-schemas.ts';
import { dryRunAnswer, revocationAnswer } from '../revocation-view.ts';
import { revocationQuery } from '../routes/revocations.ts';
import type { OperationArea } from './operation.ts';

export const REVOCATION_OPERATIONS: OperationArea = {
  name: 'revocations',
  description: 'Ending credentials on demand, for operators.',
  operations: [
    {
      method: 'post',
      path: '/v1/revocations',
      id: 'revoke',
      summary: 'End what a selector matches',
      description: 'Every given word must match. Written down first, then worked on in slices: what takes longer than half a second is done by workers, and goes on wherever one of them is killed.',
      caller: 'operator',
      body: revocationRequest,
      examples: { dry_run: { selector: { credential: 'orders-db' }, reason: 'what would end', dry_run: true } },
      answers: {
        200: { description: 'a dry run: what would end', schema: dryRunAnswer },
        202: { description: 'under way; small ones have all been asked for by now', schema: revocationAnswer, headers: { Location: 'the revocation' } },
      },
    },
    {
      method: 'get',
      path: '/v1/revocations/{id}',
      id: 'getRevocation',
      summary: 'Look at a revocation and how far it is',
      caller: 'viewer',
      params: { id: revocationIdSchema },
      query: revocationQuery,
      answers: { 200: { description: 'the revocation, with a page of results', schema: revocationAnswer } },
    },
    {
      method: 'post',
      path: '/v1/revocations/{id}/cancel',
      id: 'cancelRevocation',
      summary: 'Ask for no further end',
      description: 'What was asked for goes on. Repeating it answers the same.',
      caller: 'operator',
      params: { id: revocationIdSchema },
      body: z.strictObject({}),
      bodyOptional: true,
      answers: { 200: { description: 'the revocation as it now is', schema: revocationAnswer } },
    },
  ],
};
