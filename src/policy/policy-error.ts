/** Where a fault of a policy set is, as far as it is known. */
export interface PolicyPlace {
  readonly file: string;
  /** Counted from 1. */
  readonly line?: number | undefined;
  readonly policy?: string | undefined;
}

/** A policy set that cannot be used: where, and why. Nothing of it comes into force. */
export class PolicyError extends Error {
  override readonly name = 'PolicyError';
  readonly file: string;
  readonly line: number | null;
  readonly policy: string | null;

  constructor({ file, line, policy }: PolicyPlace, reason: string) {
    const place = [file, line === undefined ? '' : `line ${line}`, policy === undefined ? '' : `policy ${policy}`];
    super(`${place.filter((part) => part !== '').join(', ')}: ${reason}`);
    this.file = file;
    this.line = line ?? null;
    this.policy = policy ?? null;
  }
}
