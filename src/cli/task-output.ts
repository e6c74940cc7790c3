import { Option } from 'commander';
import { countdown, print, printJson, say, shellQuote, table } from './output.ts';

export interface TaskAnswer {
  readonly task: Readonly<Record<string, unknown>> & { readonly id: string; readonly state: string; readonly expires_at: string };
  readonly credentials: readonly CredentialAnswer[];
}

export interface CredentialAnswer {
  readonly name: string;
  readonly lease_id: string;
  readonly kind: string;
  readonly state: string;
  readonly expires_at: string;
  readonly revocability: string;
  readonly secret?: Readonly<Record<string, string>>;
}

/** How a grant is printed: for people, for a shell, or as the broker answered. */
export type GrantFormat = 'text' | 'env' | 'json';

export interface GrantFormatFlags {
  readonly format: GrantFormat;
  readonly json?: boolean;
}

export const grantFormatOption = (): Option => new Option('--format <format>', 'how to print the secrets').choices(['text', 'env', 'json']).default('text');
export const grantJsonOption = (): Option => new Option('--json', 'the same as --format json');
export const grantFormatOf = ({ format, json }: GrantFormatFlags): GrantFormat => (json === true ? 'json' : format);

/** Prints a grant. The secrets are in it, this once. */
export function printGrant(answer: TaskAnswer, format: GrantFormat, nowMs: number): void {
  switch (format) {
    case 'json':
      printJson(answer);
      return;
    case 'env':
      print(grantAsEnv(answer));
      return;
    case 'text': {
      const secrets = answer.credentials.flatMap(({ name, secret = {} }) => Object.entries(secret).map(([field, value]) => `${name}.${field}=${value}`));
      const ticket = typeof answer.task['claim_ticket'] === 'string' ? [`claim_ticket=${answer.task['claim_ticket']}`] : [];
      print([`task ${answer.task.id} ${answer.task.state}`, ...ticket, ...secrets].join('\n'));
      for (const { name, expires_at: expiresAt, revocability } of answer.credentials) {
        say(`${name} ends in ${countdown(expiresAt, nowMs)}; revocability ${revocability}`);
      }
      if (secrets.length > 0) say('The secrets are shown this once; Mayfly does not keep them.');
      return;
    }
    default:
      format satisfies never;
  }
}

/** `ORDERS_DB_USERNAME='...'` for each field, fit for `eval` or `.` in a POSIX shell. */
export function grantAsEnv(answer: TaskAnswer): string {
  const variable = (text: string): string => text.toUpperCase().replace(/[^A-Z0-9]/g, '_');
  const lines = [`export MAYFLY_TASK_ID=${shellQuote(answer.task.id)}`, `export MAYFLY_TASK_EXPIRES_AT=${shellQuote(answer.task.expires_at)}`];
  for (const { name, secret = {} } of answer.credentials) {
    for (const [field, value] of Object.entries(secret)) lines.push(`export ${variable(name)}_${variable(field)}=${shellQuote(value)}`);
  }
  return lines.join('\n');
}

/** Prints a task and the state of each of its leases. */
export function printTask(answer: TaskAnswer, json: boolean, nowMs: number): void {
  if (json) {
    printJson(answer);
    return;
  }
  const { task, credentials } = answer;
  const reason = typeof task['end_reason'] === 'string' ? ` (${task['end_reason']})` : '';
  print(`task ${task.id} ${task.state}${reason}, purpose ${String(task['purpose'])}, agent ${String(task['agent'])}`);
  print(
    table(
      ['CREDENTIAL', 'STATE', 'DUE', 'REVOCABILITY', 'LEASE'],
      credentials.map((one) => [one.name, one.state, countdown(one.expires_at, nowMs), one.revocability, one.lease_id]),
      'no credentials',
    ),
  );
}
