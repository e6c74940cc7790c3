/** A policy set that cannot be used: which file, which policy, and why. Nothing of it comes into force. */
export class PolicyError extends Error {
  override readonly name = 'PolicyError';
  readonly file: string;
  readonly policy: string | null;

  constructor(file: string, policy: string | null, reason: string) {
    super(`${file}${policy === null ? '' : `, policy ${policy}`}: ${reason}`);
    this.file = file;
    this.policy = policy;
  }
}
