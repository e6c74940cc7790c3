import { AGENT_OPERATIONS } from './agent-operations.ts';
import { APPROVAL_OPERATIONS } from './approval-operations.ts';
import { AUDIT_OPERATIONS } from './audit-operations.ts';
import { AUTHZEN_OPERATIONS } from './authzen-operations.ts';
import { HEALTH_OPERATIONS } from './health-operations.ts';
import { HOLD_OPERATIONS } from './hold-operations.ts';
import { LEASE_OPERATIONS } from './lease-operations.ts';
import { OAUTH_OPERATIONS } from './oauth-operations.ts';
import { LOCK_OPERATIONS } from './lock-operations.ts';
import type { OperationArea } from './operation.ts';
import { POLICY_OPERATIONS } from './policy-operations.ts';
import { REVOCATION_OPERATIONS } from './revocation-operations.ts';
import { SIGN_IN_OPERATIONS } from './sign-in-operations.ts';
import { SIGNAL_OPERATIONS } from './signal-operations.ts';
import { TASK_OPERATIONS } from './task-operations.ts';
import { WATCH_OPERATIONS } from './watch-operations.ts';
import { WEBHOOK_OPERATIONS } from './webhook-operations.ts';

/** The whole interface. A new route is described in the file of its area; a test compares this with what express routes. */
export const OPERATION_AREAS: readonly OperationArea[] = [
  TASK_OPERATIONS,
  APPROVAL_OPERATIONS,
  LEASE_OPERATIONS,
  REVOCATION_OPERATIONS,
  LOCK_OPERATIONS,
  AGENT_OPERATIONS,
  HOLD_OPERATIONS,
  POLICY_OPERATIONS,
  AUTHZEN_OPERATIONS,
  AUDIT_OPERATIONS,
  WATCH_OPERATIONS,
  SIGN_IN_OPERATIONS,
  WEBHOOK_OPERATIONS,
  SIGNAL_OPERATIONS,
  OAUTH_OPERATIONS,
  HEALTH_OPERATIONS,
];

export const OPERATIONS = OPERATION_AREAS.flatMap((area) => area.operations);
