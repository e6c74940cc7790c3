/** Exit codes of the command line; scripts rely on them. */
export const EXIT = {
  ok: 0,
  failure: 1,
  usage: 2,
  denied: 3,
  notFound: 4,
  auth: 5,
  upstream: 6,
  /** Waits for a human, or took too long: it may still come. */
  pending: 7,
  /** The task's time was over first. */
  expired: 124,
} as const;

/** A failure with its exit code. `lines` are for standard error. */
export class CliError extends Error {
  override readonly name = 'CliError';
  readonly exitCode: number;
  readonly lines: readonly string[];

  constructor(exitCode: number, ...lines: readonly string[]) {
    super(lines.join('\n'));
    this.exitCode = exitCode;
    this.lines = lines;
  }
}

/** The exit code for a problem document's status. */
export function exitCodeFor(status: number, code: string): number {
  if (code === 'policy_denied' || code === 'locked' || code === 'agent_disabled' || code === 'agent_unregistered') return EXIT.denied;
  if (status === 401 || status === 403) return EXIT.auth;
  if (status === 404 || code === 'task_not_active') return EXIT.notFound;
  if (status === 422 || status === 400) return EXIT.usage;
  if (status === 502 || status === 503) return EXIT.upstream;
  return EXIT.failure;
}
