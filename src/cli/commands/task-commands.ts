import { setTimeout as sleep } from 'node:timers/promises';
import { Option, type Command } from 'commander';
import { createBrokerClient, type BrokerClient, type ConnectionFlags } from '../broker-client.ts';
import { declarationOf, envelopeOf, evidenceOf, pair, type RequestFlags } from '../declaration-flags.ts';
import { examples } from '../examples.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { isFinalState } from '../lease-output.ts';
import { jsonOption } from '../output-flags.ts';
import { say } from '../output.ts';
import { repeatable } from '../repeatable.ts';
import { grantFormatOf, grantFormatOption, grantJsonOption, printGrant, printTask, type GrantFormatFlags, type TaskAnswer } from '../task-output.ts';
import { wholeNumber } from '../whole-number.ts';

/** How long `complete --wait` waits; the broker alone waits 2 s, and goes on by itself in any case. */
const WAIT_MS = 30_000;
const LOOK_EVERY_MS = 200;
/** How long one look at a waiting task may take: well below the time that a call may. */
const WAIT_SECONDS = 20;

type CompleteFlags = ConnectionFlags & { readonly outcome: string; readonly note?: string; readonly wait?: boolean; readonly json?: boolean };

/** Commands of a workload: request, credentials, delegate, complete. */
export function addTaskCommands(program: Command, connection: (command: Command) => Command): void {
  connection(program.command('request'))
    .description('declare a task and receive its credentials')
    .option('--purpose <code>', 'why: one of the operator\'s purposes')
    .option('--action <word>', 'what will be done; repeat for more', repeatable, [])
    .option('--data-class <word>', 'what kind of data; repeat for more', repeatable, [])
    .option('--credential <name[:seconds]>', 'a credential, with a lifetime of its own if given; repeat for more', repeatable, [])
    .option('--param <credential.name=value>', 'a parameter of a credential; repeat for more', repeatable, [])
    .option('--context <name=value>', 'context for policy; repeat for more', repeatable, [])
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
    .addOption(grantFormatOption())
    .addOption(grantJsonOption())
    .addHelpText('before', examples('mayfly request --purpose refund-investigation --action read --credential orders-db:120 --format env > task.env'))
    .action(async (flags: RequestFlags) => {
      const client = createBrokerClient(flags, 'agent');
      const { status, body } = await client.call('POST', '/v1/tasks', { ...declarationOf(flags), ...evidenceOf(flags) }, flags.idempotencyKey);
      const answer = body as unknown as TaskAnswer;
      const format = grantFormatOf(flags);
      if (answer.task.state === 'pending_approval' && flags.wait === true) {
        printGrant(await claimOnceApproved(answer, client), format, client.nowMs());
        return;
      }
      printGrant(answer, format, client.nowMs());
      if (status !== 202) return;
      const until = String(answer.task['waits_until']);
      if (answer.task.state === 'pending_approval') throw new CliError(EXIT.pending, `task ${answer.task.id} waits for approval until ${until}; claim it then: mayfly claim ${answer.task.id}`);
      say(`its agent can claim it until ${until}: mayfly claim ${answer.task.id}`);
    });

  connection(program.command('credentials'))
    .description('ask for one more credential inside a task')
    .argument('<task>')
    .argument('<name>')
    .option('--ttl <seconds>', 'how long it may live')
    .option('--param <name=value>', 'repeat for more', repeatable, [])
    .option('--tool-call <id>', 'the tool call it is for')
    .option('--tool <name>', 'the tool of that call')
    .addOption(grantFormatOption())
    .addOption(grantJsonOption())
    .addHelpText('before', examples('mayfly credentials "$MAYFLY_TASK_ID" reports-bucket --ttl 60 --tool-call call_7 --tool s3.get'))
    .action(async (task: string, name: string, flags: ConnectionFlags & { ttl?: string; param: string[]; toolCall?: string; tool?: string } & GrantFormatFlags) => {
      if ((flags.toolCall === undefined) !== (flags.tool === undefined)) throw new CliError(EXIT.usage, '--tool-call and --tool go together');
      const client = createBrokerClient(flags, 'agent');
      const { body } = await client.call('POST', `/v1/tasks/${encodeURIComponent(task)}/credentials`, {
        name,
        ...(flags.ttl === undefined ? {} : { ttl_seconds: wholeNumber('--ttl', flags.ttl) }),
        params: Object.fromEntries(flags.param.map((text) => pair('--param', text))),
        ...(flags.toolCall === undefined ? {} : { tool_call: { id: flags.toolCall, tool: flags.tool } }),
      });
      printGrant(body as unknown as TaskAnswer, grantFormatOf(flags), client.nowMs());
    });

  connection(program.command('delegate'))
    .description('hand a part of a task to another agent, who has to claim it')
    .argument('<task>')
    .requiredOption('--agent <subject>', 'who will act')
    .option('--action <word>', 'what will be done, out of what the task does; repeat for more', repeatable, [])
    .option('--data-class <word>', 'what kind of data, out of what the task touches; repeat for more', repeatable, [])
    .option('--credential <name[:seconds]>', 'a credential of the task; repeat for more', repeatable, [])
    .option('--param <credential.name=value>', 'a parameter of a credential; repeat for more', repeatable, [])
    .option('--context <name=value>', 'context besides that of the task; repeat for more', repeatable, [])
    .option('--ttl <seconds>', 'how long it may take')
    .option('--justification <text>', 'free text for the record; it decides nothing')
    .option('--idempotency-key <key>', 'makes it safe to send the same request again')
    .addOption(jsonOption())
    .addHelpText('before', examples('mayfly delegate "$MAYFLY_TASK_ID" --agent agent:payouts --action read --credential orders-db:60'))
    .action(async (task: string, flags: Omit<RequestFlags, 'format' | 'purpose'>) => {
      const client = createBrokerClient(flags, 'agent');
      const { body } = await client.call('POST', `/v1/tasks/${encodeURIComponent(task)}/delegate`, envelopeOf(flags), flags.idempotencyKey);
      const answer = body as unknown as TaskAnswer;
      printTask(answer, flags.json === true, client.nowMs());
      say(`its agent can claim it until ${String(answer.task['waits_until'])}: mayfly claim ${answer.task.id}`);
    });

  connection(program.command('complete'))
    .description('end a task: every credential of it is revoked')
    .argument('<task>')
    .addOption(new Option('--outcome <outcome>', 'how the work went').choices(['succeeded', 'failed', 'cancelled']).default('succeeded'))
    .option('--note <text>', 'free text for the record')
    .option('--wait', `wait until every credential has ended, for up to ${WAIT_MS / 1000} s`)
    .addOption(jsonOption())
    .addHelpText('before', examples('mayfly complete "$MAYFLY_TASK_ID" --wait'))
    .action(async (task: string, flags: CompleteFlags) => {
      const client = createBrokerClient(flags, 'agent');
      const { status, body } = await client.call('POST', `/v1/tasks/${encodeURIComponent(task)}/complete`, {
        outcome: flags.outcome,
        ...(flags.note === undefined ? {} : { note: flags.note }),
      });
      const completed = body as unknown as TaskAnswer;
      const answer = status === 202 && flags.wait === true ? await untilEnded(completed, client) : completed;
      printTask(answer, flags.json === true, client.nowMs());
      const failure = completionFailure(answer, flags.wait === true);
      if (failure !== undefined) throw failure;
      const tokens = answer.credentials.filter(({ state, revocability }) => !isFinalState(state) && revocability === 'none');
      for (const { name, target_expires_at: until } of tokens) say(`${name} can be used until ${until ?? 'its target ends it'}: only its expiry ends it`);
      if (answer.credentials.some(({ state, revocability }) => !isFinalState(state) && revocability !== 'none')) say('some leases are still ending; look again with `mayfly tasks get`');
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
