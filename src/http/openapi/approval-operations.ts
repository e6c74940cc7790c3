import { approvalRequest } from '../../grant/decide-approval.ts';
import { approvalAnswer, approvalPage, decidedAnswer } from '../approval-view.ts';
import { taskIdSchema } from '../answer-schemas.ts';
import { approvalListQuery } from '../routes/approvals.ts';
import type { OperationArea } from './operation.ts';

const params = { id: taskIdSchema };

export const APPROVAL_OPERATIONS: OperationArea = {
  name: 'approvals',
  description: 'Tasks that policy permits only with the approval of humans, for operators.',
  operations: [
    {
      method: 'get',
      path: '/v1/approvals',
      id: 'listApprovals',
      summary: 'List the tasks that wait for approval',
      caller: 'viewer',
      query: approvalListQuery,
      answers: { 200: { description: 'a page, oldest first; of another `state`, newest first', schema: approvalPage } },
    },
    {
      method: 'get',
      path: '/v1/tasks/{id}/approval',
      id: 'getApproval',
      summary: 'Look at what an approval would be of',
      caller: 'viewer',
      params,
      answers: { 200: { description: 'the envelope, and who approved it so far', schema: approvalAnswer } },
      problems: ['not_approvable'],
    },
    {
      method: 'post',
      path: '/v1/tasks/{id}/approval',
      id: 'decideApproval',
      summary: 'Approve or deny a task that waits for it',
      description:
        'Bound to the task and to the digest of its envelope. Enough different humans make the task wait for its claim, which is decided afresh; one `deny` ends it. The same approval twice counts once. Never by its declarer, its agent, its subject, or whoever vouched for it.',
      caller: 'operator',
      params,
      body: approvalRequest,
      examples: { approve: { decision: 'approve', note: 'seen with the customer on the line' } },
      answers: { 200: { description: 'the task as it then is', schema: decidedAnswer } },
      problems: ['approval_refused', 'not_approvable', 'envelope_changed', 'locked', 'audit_behind', 'held', 'clock_skewed'],
    },
  ],
};
