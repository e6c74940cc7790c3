import { Option } from 'commander';
import { isFinalState } from './lease-output.ts';
import { countdown, print, printJson, say, shellQuote, table } from './output.ts';

/** A task as the broker tells it; its owner to operators alone. */
export type SeenTask = Readonly<Record<string, unknown>> & {
  readonly id: string;
  readonly state: string;
  readonly end_reason: string | null;
  readonly agent: string;
  readonly purpose: string;
  readonly parent: string | null;
  readonly expires_at: string;
  readonly ended_at: string | null;
  readonly owner?: string | null;
};

export interface TaskAnswer {
  readonly task: SeenTask;
  readonly credentials: readonly CredentialAnswer[];
}

export interface CredentialAnswer {
  readonly name: string;
  readonly lease_id: string;
  readonly kind: string;
  readonly state: string;
  readonly expires_at: string;
  readonly target_expires_at: string | null;
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
  print(`task ${task.id} ${stateOf(task)}, purpose ${task.purpose}, agent ${task.agent}${ownerOf(task)}`);
  print(
    table(
      ['CREDENTIAL', 'STATE', 'DUE', 'REVOCABILITY', 'LEASE'],
      credentials.map((one) => [one.name, one.state, isFinalState(one.state) ? '-' : countdown(one.expires_at, nowMs), one.revocability, one.lease_id]),
      'no credentials',
    ),
  );
}

/** One line about a task, for a list that goes on. */
export const taskLine = (task: SeenTask, nowMs: number): string =>
  [task.id, stateOf(task).padEnd(20), task.agent + ownerOf(task), task.purpose, ...(task.state === 'ended' ? [] : [`ends in ${countdown(task.expires_at, nowMs)}`])].join('  ');

/** A tree of tasks as the broker answers it: each task below its parent, and its leases below it. */
export function taskTreeText(tree: readonly TaskAnswer[], nowMs: number): string {
  const depths = new Map<string, number>();
  return tree
    .flatMap(({ task, credentials }) => {
      const depth = task.parent === null ? 0 : (depths.get(task.parent) ?? -1) + 1;
      depths.set(task.id, depth);
      const indent = '  '.repeat(depth);
      const leases = credentials.map(({ name, state, lease_id: id, expires_at: due }) => `${indent}    ${name}  ${state}${state === 'active' ? `, due in ${countdown(due, nowMs)}` : ''}  ${id}`);
      return [`${indent}${depth === 0 ? '' : '└ '}${taskLine(task, nowMs)}`, ...leases];
    })
    .join('\n');
}

const stateOf = ({ state, end_reason: reason }: SeenTask): string => (reason === null ? state : `${state} (${reason})`);

const ownerOf = ({ owner }: SeenTask): string => (typeof owner === 'string' ? ` of ${owner}` : '');
