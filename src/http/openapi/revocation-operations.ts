import { revocationRequest } from '../../revocation/request-revocation.ts';
import { revocationIdSchema } from '../answer-schemas.ts';
import { dryRunAnswer, revocationAnswer } from '../lease-schemas.ts';
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
      caller: 'operator',
      body: revocationRequest,
      examples: { dry_run: { selector: { credential: 'orders-db' }, reason: 'what would end', dry_run: true } },
      answers: {
        200: { description: 'a dry run: what would end', schema: dryRunAnswer },
        202: { description: 'under way', schema: revocationAnswer, headers: { Location: 'the revocation' } },
      },
    },
    {
      method: 'get',
      path: '/v1/revocations/{id}',
      id: 'getRevocation',
      summary: 'Look at a revocation and how far it is',
      caller: 'viewer',
      params: { id: revocationIdSchema },
      answers: { 200: { description: 'the revocation, with a result for each lease', schema: revocationAnswer } },
    },
  ],
};
