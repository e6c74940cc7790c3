import { leaseIdSchema } from '../answer-schemas.ts';
import { leaseAnswer, leasePage, receiptAnswer } from '../lease-schemas.ts';
import { acknowledgement, leaseListQuery } from '../routes/leases.ts';
import { jwks } from './oauth-operations.ts';
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
      summary: 'List leases',
      description: 'Those that match every word given. A page can end early where the filter passes over many: go on with `next_cursor` until it is null. What is added meanwhile neither repeats nor hides what was there; what falls due earlier than it did can be missed, and is on the events.',
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
      method: 'get',
      path: '/v1/leases/{id}/receipt',
      id: 'getReceipt',
      summary: 'What became of a lease, signed',
      caller: 'viewer',
      params,
      answers: { 200: { description: 'the receipt of the ended lease', schema: receiptAnswer } },
      problems: ['lease_not_ended'],
    },
    {
      method: 'get',
      path: '/v1/receipts/keys',
      id: 'getReceiptKeys',
      summary: 'The keys of receipts',
      caller: 'anyone',
      answers: { 200: { description: 'every key that signs receipts or may have signed one', schema: jwks } },
    },
    {
      method: 'post',
      path: '/v1/leases/{id}/acknowledge',
      id: 'acknowledgeLease',
      summary: 'Take note of a stuck revocation',
      description: 'The lease stays stuck, is counted so, and is tried as before; who has seen it, and why it stands, is on the record.',
      caller: 'operator',
      params,
      body: acknowledgement,
      examples: { seen: { reason: 'the database is being restored; OPS-12' } },
      answers: { 200: { description: 'the lease as it now is', schema: leaseAnswer } },
      problems: ['lease_not_stuck'],
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
