import { z } from 'zod';
import { auditQuery } from '../routes/audit.ts';
import { auditStoryQuery } from '../routes/audit-story.ts';
import { agentStorySchema } from '../audit-story-schemas.ts';
import { pageOf } from '../answer-schemas.ts';
import type { OperationArea } from './operation.ts';

const record = z
  .strictObject({
    seq: z.int().min(1).describe('from 1, without gaps'),
    prev: z.string().describe('hash of the record before'),
    hash: z.string(),
    sealed_at: z.iso.datetime(),
    epoch: z.int().describe('the sealer that wrote it'),
    origin: z.strictObject({ shard: z.string(), stream_id: z.string(), n: z.int() }).nullable(),
    event: z.looseObject({ type: z.string() }),
  })
  .meta({ id: 'AuditRecord', description: 'one line of the hash-chained audit log' });

export const AUDIT_OPERATIONS: OperationArea = {
  name: 'audit',
  description: 'What is on the record, for operators.',
  operations: [
    {
      method: 'get',
      path: '/v1/audit',
      id: 'searchAudit',
      summary: 'Search the audit log',
      caller: 'viewer',
      query: auditQuery,
      answers: { 200: { description: 'a page of records', schema: pageOf(record).meta({ id: 'AuditPage' }) } },
      problems: ['audit_elsewhere'],
    },
    {
      method: 'get',
      path: '/v1/audit/story',
      id: 'tellAgentStory',
      summary: 'What an agent was authorised to do, and why',
      description: 'Every task of the agent that was alive in a time, with its decisions, credentials, tool calls and ends, and all it was refused. Rotated files are read too.',
      caller: 'viewer',
      query: auditStoryQuery,
      answers: { 200: { description: 'a page of tasks and refusals, in the order they began', schema: agentStorySchema } },
      problems: ['audit_elsewhere'],
    },
    {
      method: 'get',
      path: '/v1/audit/checkpoint',
      id: 'getCheckpoint',
      summary: 'The newest signed checkpoint',
      caller: 'viewer',
      answers: {
        200: {
          description: 'a signed note, and the keys that verify it',
          schema: z.strictObject({ at: z.iso.datetime(), note: z.string(), verifier_keys: z.array(z.string()) }).meta({ id: 'SignedCheckpoint' }),
        },
      },
      problems: ['audit_elsewhere', 'not_found'],
    },
  ],
};
