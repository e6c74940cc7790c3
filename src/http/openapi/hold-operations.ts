import { reconciliationRequest } from '../../revocation/request-reconciliation.ts';
import { reconciliationIdSchema } from '../answer-schemas.ts';
import { holdAnswer, releasedHoldAnswer } from '../hold-view.ts';
import { reconciliationAnswer } from '../reconciliation-view.ts';
import { releaseRequest } from '../routes/hold.ts';
import type { OperationArea } from './operation.ts';

export const HOLD_OPERATIONS: OperationArea = {
  name: 'hold',
  description: 'Whether the ledger knows all that is live, for operators: after it lost records, nothing is granted.',
  operations: [
    {
      method: 'get',
      path: '/v1/hold',
      id: 'getHold',
      summary: 'Whether nothing is granted because the ledger lost records',
      caller: 'viewer',
      answers: { 200: { description: 'the hold in force, if there is one', schema: holdAnswer } },
    },
    {
      method: 'post',
      path: '/v1/hold/release',
      id: 'releaseHold',
      summary: 'Grant again, and revoke what no record accounts for',
      description: 'Locks were lost with the records: place again first what is still to be locked.',
      caller: 'admin',
      body: releaseRequest,
      examples: { release: { reason: 'restored from the backup of 04:00, and looked through' } },
      answers: { 200: { description: 'it is over', schema: releasedHoldAnswer } },
      problems: ['not_held'],
    },
    {
      method: 'post',
      path: '/v1/reconciliations',
      id: 'createReconciliation',
      summary: 'Compare what is live at the targets with the records, now',
      description: 'A worker does it, as it does by itself on a schedule: what no record accounts for is revoked, or only shown with `dry_run`.',
      caller: 'operator',
      body: reconciliationRequest,
      bodyOptional: true,
      examples: { look: { dry_run: true } },
      answers: { 202: { description: 'asked for', schema: reconciliationAnswer, headers: { Location: 'the reconciliation' } } },
    },
    {
      method: 'get',
      path: '/v1/reconciliations/{id}',
      id: 'getReconciliation',
      summary: 'What a reconciliation found',
      caller: 'viewer',
      params: { id: reconciliationIdSchema },
      answers: { 200: { description: 'with what was found, once it is done', schema: reconciliationAnswer } },
    },
  ],
};
