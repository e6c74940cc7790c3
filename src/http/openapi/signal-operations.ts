import { z } from 'zod';
import type { OperationArea } from './operation.ts';

const refusal = z
  .strictObject({ err: z.enum(['invalid_request', 'invalid_key', 'invalid_issuer', 'invalid_audience']), description: z.string() })
  .meta({ id: 'SecurityEventError', description: 'RFC 8935 section 2.3' });

export const SIGNAL_OPERATIONS: OperationArea = {
  name: 'signals',
  description: 'For identity providers that say that somebody is not to be trusted any more.',
  operations: [
    {
      method: 'post',
      path: '/v1/security-events',
      id: 'receiveSecurityEvent',
      summary: 'Heed a security event token (RFC 8935)',
      description: 'A SET of a transmitter in the configuration; its signature says who sends it. `session-revoked` and, where the change is `revoke` or `delete`, `credential-change` (CAEP), and `account-disabled` (RISC) end all tasks of their subject, as an agent and as a person on whose behalf agents act. Other events, and subjects that are not known, are acknowledged.',
      caller: 'anyone',
      body: z.string().describe('one signed token (RFC 8417), `typ` `secevent+jwt`'),
      bodyType: 'application/secevent+jwt',
      answers: { 202: { description: 'heeded: what is to end is written down', empty: true }, 400: { description: 'not a token that is taken here', schema: refusal } },
      problems: ['ledger_unavailable', 'identity_unavailable', 'record_tampered'],
    },
  ],
};
