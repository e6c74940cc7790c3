import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Option, type Command } from 'commander';
import { createBrokerClient, type BrokerClient, type ConnectionFlags } from '../broker-client.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { countdown, print, printJson, say, table } from '../output.ts';
import { printGrant, printTask, type GrantFormat, type TaskAnswer } from '../task-output.ts';
import { wholeNumber } from '../whole-number.ts';

/** How long `complete --wait` waits; the broker alone waits 2 s, and goes on by itself in any case. */
const WAIT_MS = 30_000;
const LOOK_EVERY_MS = 200;
/** How long one look at a waiting task may take: well below the time that a call may. */
const WAIT_SECONDS = 20;

const collect = (value: string, before: readonly string[]): string[] => [...before, value];

interface RequestFlags extends ConnectionFlags {
  readonly purpose?: string;
  readonly action: readonly string[];
  readonly dataClass: readonly string[];
  readonly credential: readonly string[];
  readonly param: readonly string[];
  readonly context: readonly string[];
  readonly ttl?: string;
  readonly justification?: string;
  readonly ticket?: string;
  readonly heartbeat?: string;
  readonly agent?: string;
  readonly start?: string;
  readonly claimTicket?: boolean;
  readonly idempotencyKey?: string;
  readonly wait?: boolean;
  readonly signedDeclaration?: string;
  readonly userToken?: string;
  readonly file?: string;
  readonly format: GrantFormat;
  readonly json?: boolean;
}

/** Commands of a workload: request, credentials, delegate, complete, tasks. */
export function addTaskCommands(program: Command, connection: (command: Command) => Command): void {
  connection(program.command('request'))
    .description('declare a task and receive its credentials')
    .option('--purpose <code>', 'why: one of the operator\'s purposes')
    .option('--action <word>', 'what will be done; repeat for more', collect, [])
    .option('--data-class <word>', 'what kind of data; repeat for more', collect, [])
    .option('--credential <name[:seconds]>', 'a credential, with a lifetime of its own if given; repeat for more', collect, [])
    .option('--param <credential.name=value>', 'a parameter of a credential; repeat for more', collect, [])
    .option('--context <name=value>', 'context for policy; repeat for more', collect, [])
    .option('--ttl <seconds>', 'how long the task may take')
    .option('--heartbeat <seconds>', 'end the task when it is not heard from for this long')
    .option('--justification <text>', 'free text for the record; it decides nothing')
    .option('--ticket <id>', 'the ticket this is for')
    .option('--agent <subject>', 'declare it for another agent, who has to claim it')
    .addOption(new Option('--start <when>', 'now, or when it is claimed').choices(['now', 'claim']))
    .option('--claim-ticket', 'ask for a ticket that the claim must show')
    .option('--idempotency-key <key>', 'makes it safe to send the same request again')
    .option('--signed-declaration <path>', 'a file with the declaration as an orchestrator signed it: `mayfly declaration sign`')
    .option('--user-token <path>', 'a file with the token of the person on whose behalf the agent acts')
    .option('--wait', 'where a human has to approve it: wait for that, then claim it')
    .option('--file <path>', 'a whole declaration as JSON; - for standard input')
    .addOption(new Option('--format <format>', 'how to print the secrets').choices(['text', 'env', 'json']).default('text'))
    .option('--json', 'the same as --format json')
    .addHelpText('before', 'Example:\n  mayfly request --purpose refund-investigation --action read --credential orders-db:120 --format env > task.env\n')
    .action(async (flags: RequestFlags) => {
      const client = createBrokerClient(flags, 'agent');
      const { status, body } = await client.call('POST', '/v1/tasks', { ...declarationOf(flags), ...evidenceOf(flags) }, flags.idempotencyKey);
      const answer = body as unknown as TaskAnswer;
      const format = flags.json === true ? 'json' : flags.format;
      if (answer.task.state === 'pending_approval' && flags.wait === true) {
        printGrant(await claimOnceApproved(answer, client), format);
        return;
      }
      printGrant(answer, format);
      if (status !== 202) return;
      const until = String(answer.task['waits_until']);
      if (answer.task.state === 'pending_approval') throw new CliError(EXIT.pending, `task ${answer.task.id} waits for approval until ${until}; claim it then: mayfly claim ${answer.task.id}`);
      say(`its agent can claim it until ${until}: mayfly claim ${answer.task.id}`);
    });

  connection(program.command('credentials'))
    .description('ask for one more credential inside a task')
    .argument('<task>')
    .argument('<name>')
    .option('--ttl <seconds>')
    .option('--param <name=value>', 'repeat for more', collect, [])
    .option('--tool-call <id>', 'the tool call it is for')
    .option('--tool <name>', 'the tool of that call')
    .addOption(new Option('--format <format>').choices(['text', 'env', 'json']).default('text'))
    .option('--json')
    .action(async (task: string, name: string, flags: ConnectionFlags & { ttl?: string; param: string[]; toolCall?: string; tool?: string; format: GrantFormat; json?: boolean }) => {
      if ((flags.toolCall === undefined) !== (flags.tool === undefined)) throw new CliError(EXIT.usage, '--tool-call and --tool go together');
      const client = createBrokerClient(flags, 'agent');
      const { body } = await client.call('POST', `/v1/tasks/${encodeURIComponent(task)}/credentials`, {
        name,
        ...(flags.ttl === undefined ? {} : { ttl_seconds: wholeNumber('--ttl', flags.ttl) }),
        params: Object.fromEntries(flags.param.map((text) => pair('--param', text))),
        ...(flags.toolCall === undefined ? {} : { tool_call: { id: flags.toolCall, tool: flags.tool } }),
      });
      printGrant(body as unknown as TaskAnswer, flags.json === true ? 'json' : flags.format);
    });

  connection(program.command('delegate'))
    .description('hand a part of a task to another agent, who has to claim it')
    .argument('<task>')
    .requiredOption('--agent <subject>', 'who will act')
    .option('--action <word>', 'what will be done, out of what the task does; repeat for more', collect, [])
    .option('--data-class <word>', 'what kind of data, out of what the task touches; repeat for more', collect, [])
    .option('--credential <name[:seconds]>', 'a credential of the task; repeat for more', collect, [])
    .option('--param <credential.name=value>', 'a parameter of a credential; repeat for more', collect, [])
    .option('--context <name=value>', 'context besides that of the task; repeat for more', collect, [])
    .option('--ttl <seconds>', 'how long it may take')
    .option('--justification <text>', 'free text for the record; it decides nothing')
    .option('--idempotency-key <key>', 'makes it safe to send the same request again')
    .option('--json')
    .addHelpText('before', 'Example:\n  mayfly delegate "$MAYFLY_TASK_ID" --agent agent:payouts --action read --credential orders-db:60\n')
    .action(async (task: string, flags: Omit<RequestFlags, 'format' | 'purpose'>) => {
      const { body } = await createBrokerClient(flags, 'agent').call('POST', `/v1/tasks/${encodeURIComponent(task)}/delegate`, envelopeOf(flags), flags.idempotencyKey);
      const answer = body as unknown as TaskAnswer;
      printTask(answer, flags.json === true);
      say(`its agent can claim it until ${String(answer.task['waits_until'])}: mayfly claim ${answer.task.id}`);
    });

  connection(program.command('complete'))
    .description('end a task: every credential of it is revoked')
    .argument('<task>')
    .addOption(new Option('--outcome <outcome>').choices(['succeeded', 'failed', 'cancelled']).default('succeeded'))
    .option('--note <text>', 'free text for the record')
    .option('--wait', `wait until every credential has ended, for up to ${WAIT_MS / 1000} s`)
    .option('--json')
    .addHelpText('before', 'Example:\n  mayfly complete "$MAYFLY_TASK_ID" --wait\n')
    .action(async (task: string, flags: ConnectionFlags & { outcome: string; note?: string; wait?: boolean; json?: boolean }) => {
      const client = createBrokerClient(flags, 'agent');
      const { status, body } = await client.call('POST', `/v1/tasks/${encodeURIComponent(task)}/complete`, {
        outcome: flags.outcome,
        ...(flags.note === undefined ? {} : { note: flags.note }),
      });
      const completed = body as unknown as TaskAnswer;
      const answer = status === 202 && flags.wait === true ? await untilEnded(completed, client) : completed;
      printTask(answer, flags.json === true);
      const failure = completionFailure(answer, flags.wait === true);
      if (failure !== undefined) throw failure;
      if (answer.task.state !== 'ended') say('some leases are still ending; look again with `mayfly tasks get`');
    });

  const tasks = program.command('tasks').description('look at your tasks');
  connection(tasks.command('ls'))
    .description('list tasks, newest first')
    .option('--state <state>')
    .option('--purpose <code>')
    .option('--limit <n>', 'tasks at most', '50')
    .option('--json')
    .action(async (flags: ConnectionFlags & { state?: string; purpose?: string; limit: string; json?: boolean }) => {
      const query = new URLSearchParams({ limit: flags.limit, ...(flags.state === undefined ? {} : { state: flags.state }), ...(flags.purpose === undefined ? {} : { purpose: flags.purpose }) });
      const { body } = await createBrokerClient(flags, 'agent').call('GET', `/v1/tasks?${query.toString()}`);
      if (flags.json === true) {
        printJson(body);
        return;
      }
      const items = body['items'] as TaskAnswer['task'][];
      print(table(['TASK', 'STATE', 'PURPOSE', 'AGENT', 'ENDS'], items.map((task) => [task.id, task.state, String(task['purpose']), String(task['agent']), countdown(task.expires_at, Date.now())]), 'no tasks'));
    });
  connection(tasks.command('get'))
    .description('one task and its leases')
    .argument('<task>')
    .option('--json')
    .action(async (task: string, flags: ConnectionFlags & { json?: boolean }) => {
      const { body } = await createBrokerClient(flags, 'agent').call('GET', `/v1/tasks/${encodeURIComponent(task)}`);
      printTask(body as unknown as TaskAnswer, flags.json === true);
    });
}

/** Waits until humans have decided, and claims the task if they approved it. One for another agent is that agent's to claim. */
async function claimOnceApproved(declared: TaskAnswer, client: BrokerClient): Promise<TaskAnswer> {
  const path = `/v1/tasks/${encodeURIComponent(declared.task.id)}`;
  say(`task ${declared.task.id} waits for ${String(declared.task['approvals_needed'])} to approve it until ${String(declared.task['waits_until'])}: mayfly approvals approve ${declared.task.id}`);
  let { task } = declared;
  while (task.state === 'pending_approval') task = ((await client.waitFor(path, WAIT_SECONDS)).body as unknown as TaskAnswer).task;
  if (task.state !== 'pending_claim') {
    const why = typeof task['end_reason'] === 'string' ? task['end_reason'] : task.state;
    throw new CliError(EXIT.denied, `task ${task.id} was not approved: ${why}`);
  }
  say('it is approved');
  if (task['agent'] !== task['declarer']) return { task, credentials: [] };
  const ticket = declared.task['claim_ticket'];
  return (await client.call('POST', `${path}/claim`, typeof ticket === 'string' ? { claim_ticket: ticket } : {})).body as unknown as TaskAnswer;
}

/** Looks at a completed task again and again until it has ended, for as long as one waits. */
async function untilEnded(completed: TaskAnswer, client: BrokerClient): Promise<TaskAnswer> {
  const until = performance.now() + WAIT_MS;
  let now = completed;
  while (now.task.state !== 'ended' && performance.now() < until) {
    await sleep(LOOK_EVERY_MS);
    now = (await client.call('GET', `/v1/tasks/${encodeURIComponent(completed.task.id)}`)).body as unknown as TaskAnswer;
  }
  return now;
}

/** Why a completion is no success: the task ended otherwise before, or its end was waited for in vain. */
export function completionFailure({ task }: TaskAnswer, waited: boolean): CliError | undefined {
  const reason = task['end_reason'];
  if (reason === 'expired') return new CliError(EXIT.expired, 'the task had expired before it was completed');
  if (typeof reason === 'string' && reason !== 'completed') return new CliError(EXIT.notFound, `the task had already ended: ${reason}`);
  return waited && task.state !== 'ended' ? new CliError(EXIT.pending, 'some credentials are still ending') : undefined;
}

/** The declaration that the flags describe, or the one in `--file`. Throws a usage error. */
export function declarationOf(flags: Omit<RequestFlags, 'format'>): object {
  if (flags.file !== undefined) return fileDeclaration(flags.file);
  if (flags.purpose === undefined) throw new CliError(EXIT.usage, '--purpose is required, or a whole declaration by --file');
  return { purpose: flags.purpose, ...envelopeOf(flags) };
}

/** All of a declaration but its purpose, which a delegated task has from its parent. Throws a usage error. */
function envelopeOf(flags: Omit<RequestFlags, 'format' | 'purpose' | 'file'>): object {
  if (flags.action.length === 0) throw new CliError(EXIT.usage, 'at least one --action is required');
  if (flags.credential.length === 0) throw new CliError(EXIT.usage, 'at least one --credential is required');
  const params = new Map<string, Record<string, unknown>>();
  for (const text of flags.param) {
    const [target, value] = pair('--param', text);
    const [credential, name, ...rest] = target.split('.');
    if (credential === undefined || name === undefined || rest.length > 0) throw new CliError(EXIT.usage, '--param takes credential.name=value');
    if (!flags.credential.some((wanted) => wanted.split(':')[0] === credential)) {
      throw new CliError(EXIT.usage, `--param ${target} is for a credential that is not asked for`);
    }
    params.set(credential, { ...params.get(credential), [name]: value });
  }
  return {
    actions: flags.action,
    data_classes: flags.dataClass,
    context: Object.fromEntries(flags.context.map((text) => pair('--context', text))),
    ...(flags.ttl === undefined ? {} : { ttl_seconds: wholeNumber('--ttl', flags.ttl) }),
    ...(flags.heartbeat === undefined ? {} : { heartbeat_seconds: wholeNumber('--heartbeat', flags.heartbeat) }),
    ...(flags.justification === undefined ? {} : { justification: flags.justification }),
    ...(flags.ticket === undefined ? {} : { ticket: flags.ticket }),
    ...(flags.agent === undefined ? {} : { agent: flags.agent }),
    ...(flags.start === undefined ? {} : { start: flags.start }),
    ...(flags.claimTicket === undefined ? {} : { claim_ticket: flags.claimTicket }),
    credentials: flags.credential.map((text) => {
      const [name = '', seconds] = text.split(':');
      return { name, ...(seconds === undefined ? {} : { ttl_seconds: wholeNumber('--credential', seconds) }), params: params.get(name) ?? {} };
    }),
  };
}

/** The word of somebody else, where the flags bring one. Throws a usage error. */
function evidenceOf({ signedDeclaration, userToken }: RequestFlags): object {
  if (signedDeclaration !== undefined && userToken !== undefined) throw new CliError(EXIT.usage, '--signed-declaration and --user-token exclude each other');
  const path = signedDeclaration ?? userToken;
  if (path === undefined) return {};
  try {
    return { evidence: { kind: signedDeclaration === undefined ? 'user_consented' : 'orchestrator_signed', token: readFileSync(path, 'utf8').trim() } };
  } catch {
    throw new CliError(EXIT.usage, `${path} cannot be read`);
  }
}

function fileDeclaration(path: string): object {
  try {
    const value: unknown = JSON.parse(readFileSync(path === '-' ? 0 : path, 'utf8'));
    if (typeof value === 'object' && value !== null) return value;
  } catch (error) {
    throw new CliError(EXIT.usage, `--file ${path}: ${error instanceof SyntaxError ? 'is not JSON' : 'cannot be read'}`);
  }
  throw new CliError(EXIT.usage, `--file ${path}: must hold a JSON object`);
}

/** `name=value`, where whole numbers, true and false are taken as such. */
function pair(flag: string, text: string): [string, string | number | boolean] {
  const at = text.indexOf('=');
  if (at < 1) throw new CliError(EXIT.usage, `${flag} takes name=value, not ${text}`);
  const value = text.slice(at + 1);
  if (value === 'true' || value === 'false') return [text.slice(0, at), value === 'true'];
  return [text.slice(0, at), /^-?\d{1,15}$/.test(value) ? Number(value) : value];
}
