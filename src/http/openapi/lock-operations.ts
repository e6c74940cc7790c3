import { lockRequest } from '../../revocation/place-lock.ts';
import { lockIdSchema } from '../answer-schemas.ts';
import { lockAnswer, lockList, placedLockAnswer } from '../lock-view.ts';
import type { OperationArea } from './operation.ts';

const params = { id: lockIdSchema };

export const LOCK_OPERATIONS: OperationArea = {
  name: 'locks',
  description: 'The kill switch, for operators: nothing new is granted for a selector until a time.',
  operations: [
    {
      method: 'post',
      path: '/v1/locks',
      id: 'createLock',
      summary: 'Refuse new grants for a selector',
      description: 'Answered when every shard has the lock: from then on it stands in the way of every declaration, claim, extra credential, reissue and extension that it covers. With `revoke`, what is live is ended after that.',
      caller: 'operator',
      body: lockRequest,
      // An instant that stays in the future would not stay within 30 days: no example of the body works for long.
      answers: { 201: { description: 'in force in every shard', schema: placedLockAnswer, headers: { Location: 'the lock' } } },
      problems: ['limit_exceeded'],
    },
    {
      method: 'get',
      path: '/v1/locks',
      id: 'listLocks',
      summary: 'List the locks in force',
      caller: 'viewer',
      answers: { 200: { description: 'all of them, oldest first', schema: lockList } },
    },
    {
      method: 'get',
      path: '/v1/locks/{id}',
      id: 'getLock',
      summary: 'Look at a lock in force',
      caller: 'viewer',
      params,
      answers: { 200: { description: 'the lock', schema: lockAnswer } },
    },
    {
      method: 'delete',
      path: '/v1/locks/{id}',
      id: 'liftLock',
      summary: 'Lift a lock',
      caller: 'operator',
      params,
      answers: { 200: { description: 'the lock that was lifted', schema: lockAnswer } },
      problems: ['lock_of_agent'],
    },
  ],
};
