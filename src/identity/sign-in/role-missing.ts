import type { WorkloadId } from '../caller.ts';
import { SignInRefused } from './sign-in-refused.ts';

/** Somebody whom the issuer knows, and to whom nobody gave a role. */
export class RoleMissing extends SignInRefused {
  readonly person: WorkloadId;

  constructor(person: WorkloadId, rolesClaim: string) {
    super('no_role', `the issuer knows you as ${person.subject}, and gives you none of the roles that may use this broker (claim ${rolesClaim}); ask whoever looks after it there`);
    this.person = person;
  }
}
