import { z } from 'zod';
import { auditQuery } from '../routes/audit.ts';
import { auditExportQuery } from '../routes/audit-export.ts';
import { auditConsistencyQuery, auditProofQuery } from '../routes/audit-proof.ts';
import { consistencyBundle, proofBundle } from '../../audit/proof-bundle.ts';
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
      path: '/v1/audit/export',
      id: 'exportAudit',
      summary: 'All records that fit, as lines of JSON',
      description: 'Oldest first, up to the newest that there is. Sent no faster than it is read. An answer that does not end properly is not whole. At most 4 at once on a replica; whoever takes nothing for 60 s is cut off.',
      caller: 'viewer',
      query: auditExportQuery,
      answers: { 200: { description: 'one JSON object a line', mediaType: 'application/x-ndjson' } },
      problems: ['audit_elsewhere', 'limit_exceeded'],
    },
    {
      method: 'get',
      path: '/v1/audit/proof',
      id: 'proveAuditRecords',
      summary: 'That records are in the signed log',
      description: 'A path of hashes for each (RFC 6962 section 2.1.1) to the newest checkpoint, as `mayfly audit prove` writes it; `mayfly audit verify-proof` and `examples/verify-proof` check it.',
      caller: 'viewer',
      query: auditProofQuery,
      answers: { 200: { description: 'the proof', schema: proofBundle.meta({ id: 'AuditProof' }) } },
      problems: ['audit_elsewhere', 'not_found', 'not_proven'],
    },
    {
      method: 'get',
      path: '/v1/audit/consistency',
      id: 'proveAuditConsistency',
      summary: 'That a newer checkpoint continues an older one',
      description: 'By the proof of RFC 6962 section 2.1.2, as `mayfly audit consistency` writes it. Put the checkpoint that you kept in the place of `old`: it has to verify all the same.',
      caller: 'viewer',
      query: auditConsistencyQuery,
      answers: { 200: { description: 'the proof', schema: consistencyBundle.meta({ id: 'AuditConsistency' }) } },
      problems: ['audit_elsewhere', 'not_proven'],
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
