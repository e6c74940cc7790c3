import { z } from 'zod';
import type { Operation, OperationArea } from './operation.ts';

const readiness = z
  .strictObject({
    status: z.enum(['ok', 'degraded', 'held', 'stopping', 'unavailable']),
    degraded: z.array(z.string()).describe('names of providers that do not answer'),
    parts: z.array(z.strictObject({ name: z.string(), ok: z.boolean(), detail: z.string() })),
  })
  .meta({ id: 'Readiness' });

const ready = (path: string, id: string): Operation => ({
  method: 'get',
  path,
  id,
  summary: 'Whether the broker can grant',
  caller: 'anyone',
  answers: {
    200: { description: 'ready; `degraded` where a provider is away, `held` where nothing is granted because the ledger lost records', schema: readiness },
    503: { description: 'stopping, or without an essential part', schema: readiness },
  },
});

export const HEALTH_OPERATIONS: OperationArea = {
  name: 'health',
  description: 'For whoever runs the broker.',
  operations: [
    {
      method: 'get',
      path: '/livez',
      id: 'getLiveness',
      summary: 'Whether the process runs',
      caller: 'anyone',
      answers: { 200: { description: 'it runs', schema: z.strictObject({ status: z.literal('ok') }) } },
    },
    ready('/readyz', 'getReadiness'),
    ready('/healthz', 'getHealth'),
    {
      method: 'get',
      path: '/openapi.json',
      id: 'getOpenApi',
      summary: 'This description',
      caller: 'anyone',
      answers: { 200: { description: 'an OpenAPI 3.1 document', schema: z.looseObject({ openapi: z.string() }) } },
    },
    {
      method: 'get',
      path: '/docs',
      id: 'getReference',
      summary: 'This description, for people',
      caller: 'anyone',
      answers: { 200: { description: 'a page', mediaType: 'text/html' } },
    },
  ],
};
