import type { Request } from 'express';
import { Problem } from '../core/problem.ts';
import { OPERATOR_ROLES, type Authenticator, type Caller, type Operator, type OperatorRole, type Workload } from '../identity/caller.ts';
import { presentedBy } from './presented.ts';

/** Proves who calls. Throws `invalid_token` when nothing is presented that proves it. */
export async function authenticate(request: Request, authenticator: Authenticator): Promise<Caller> {
  return authenticator.authenticate(presentedBy(request));
}

/** Whether a request that lasts is still that of an operator with at least `role`: its token can end, and its key can be withdrawn. */
export async function recheckOperator(request: Request, authenticator: Authenticator, role: OperatorRole): Promise<Operator> {
  return operatorWith(role, await authenticator.recheck(presentedBy(request)));
}

/** The calling workload. Throws `forbidden` for an operator: a person never declares, claims or receives a secret. */
export async function authenticateWorkload(request: Request, authenticator: Authenticator): Promise<Workload> {
  const caller = await authenticate(request, authenticator);
  if (caller.kind !== 'workload') throw new Problem('forbidden', 'this is for workloads; an operator never declares a task or receives a secret');
  return caller;
}

/** The calling operator, with at least `role`. Throws `forbidden` for workloads and for lower roles. */
export async function authenticateOperator(request: Request, authenticator: Authenticator, role: OperatorRole): Promise<Operator> {
  return operatorWith(role, await authenticate(request, authenticator));
}

function operatorWith(role: OperatorRole, caller: Caller): Operator {
  if (caller.kind !== 'operator') throw new Problem('forbidden', 'this is for operators');
  if (OPERATOR_ROLES.indexOf(caller.role) < OPERATOR_ROLES.indexOf(role)) {
    throw new Problem('forbidden', `this needs the role ${role}; the caller is ${caller.role}`);
  }
  return caller;
}
