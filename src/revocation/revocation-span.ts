import type { Lease } from '../ledger/lease.ts';
import { openSpan, type OpenSpan } from '../telemetry/in-span.ts';

/** The end of one credential as a span: in the trace of the job that does it, linked to the one that its task was declared in. */
export const openRevocation = (lease: Lease): OpenSpan =>
  openSpan('revoke', {
    linkTo: lease.traceparent,
    facts: {
      'mayfly.task': lease.taskId,
      'mayfly.lease': lease.id,
      'mayfly.provider': lease.provider,
      'mayfly.credential': lease.credential,
      'mayfly.kind': lease.kind,
      'mayfly.reason': lease.revocationReason ?? 'expired',
    },
  });
