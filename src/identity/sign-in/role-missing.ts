import { Problem } from '../../core/problem.ts';
import type { WorkloadId } from '../caller.ts';

/** Somebody whom the issuer knows, and to whom nobody gave a role. */
export class RoleMissing extends Problem {
  readonly person: WorkloadId;

  constructor(person: WorkloadId, rolesClaim: string) {
    super('sign_in_refused', `the issuer knows you as ${person.subject}, and gives you none of the roles that may use this broker (claim ${rolesClaim}); ask whoever looks after it there`);
    this.person = person;
  }
}
