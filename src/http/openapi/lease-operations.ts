import { leaseIdSchema } from '../answer-schemas.ts';
import { leaseAnswer, leasePage } from '../lease-schemas.ts';
import { leaseListQuery } from '../routes/leases.ts';
import type { OperationArea } from './operation.ts';

const params = { id: leaseIdSchema };

export const LEASE_OPERATIONS: OperationArea = {
  name: 'leases',
  description: 'The lifetimes of what was minted, for operators.',
  operations: [
    {
      method: 'get',
      path: '/v1/leases',
      id: 'listLeases',
      summary: 'List leases by the time they are due',
      caller: 'viewer',
      query: leaseListQuery,
      answers: { 200: { description: 'a page of leases', schema: leasePage } },
    },
    {
      method: 'get',
      path: '/v1/leases/{id}',
      id: 'getLease',
      summary: 'Look at a lease',
      caller: 'viewer',
      params,
      answers: { 200: { description: 'the lease', schema: leaseAnswer } },
    },
    {
      method: 'post',
      path: '/v1/leases/{id}/retry',
      id: 'retryLease',
      summary: 'Try a revocation again at once',
      caller: 'operator',
      params,
      answers: { 202: { description: 'the lease as it now is', schema: leaseAnswer } },
    },
  ],
};
