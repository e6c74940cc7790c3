import { Option, type Command } from 'commander';
import { createBrokerClient, type ConnectionFlags } from '../broker-client.ts';
import { examples } from '../examples.ts';
import { listOf } from '../list-pages.ts';
import { jsonOption, printList, withListOutput, type ListFlags } from '../output-flags.ts';
import { countdown, print, printJson, say, table } from '../output.ts';

interface ApprovalAnswer {
  readonly id: string;
  readonly state: string;
  readonly approvals: number;
  readonly approvals_needed: number;
  readonly approved_by: readonly { readonly subject: string; readonly at: string; readonly note: string | null }[];
  readonly risk: string;
  readonly waits_until: string | null;
  readonly envelope_digest: string;
  readonly envelope: {
    readonly agent: Who;
    readonly declarer: Who;
    readonly subject: string | null;
    readonly vouched_by: string | null;
    readonly chain: readonly Who[];
    readonly purpose: string;
    readonly justification: string | null;
    readonly ticket: string | null;
    readonly actions: readonly string[];
    readonly data_classes: readonly string[];
    readonly context: Readonly<Record<string, unknown>>;
    readonly ttl_seconds: number;
    readonly credentials: readonly { readonly name: string; readonly ttl_seconds: number; readonly params: Readonly<Record<string, unknown>> }[];
  };
}

interface Who {
  readonly issuer: string;
  readonly subject: string;
}

type DecideFlags = ConnectionFlags & { readonly note?: string; readonly digest?: string; readonly json?: boolean };

/** Commands of whoever decides about tasks that wait: approvals ls, get, approve, deny. */
export function addApprovalCommands(program: Command, connection: (command: Command) => Command): void {
  const approvals = program.command('approvals').description('what waits for a human, and your answer, as an operator');

  withListOutput(connection(approvals.command('ls', { isDefault: true })))
    .description('list what waits, oldest first')
    .addOption(new Option('--state <state>', 'what became of others').choices(['waiting', 'approved', 'denied', 'expired', 'withdrawn']).default('waiting'))
    .option('--limit <n>', 'tasks at most', '50')
    .addHelpText('before', examples('mayfly approvals ls'))
    .action(async (flags: ConnectionFlags & ListFlags & { state: string; limit: string }) => {
      const client = createBrokerClient(flags, 'operator');
      const document = await listOf<ApprovalAnswer>(client, '/v1/approvals', { state: flags.state }, flags.limit);
      printList(flags, document, {
        header: ['TASK', 'AGENT', 'PURPOSE', 'RISK', 'CREDENTIALS', 'APPROVED', 'ENDS IN'],
        row: ({ id, envelope, risk, approvals: given, approvals_needed: needed, waits_until: until }) => [id, envelope.agent.subject, envelope.purpose, risk, envelope.credentials.map(({ name }) => name).join(' '), `${given} of ${needed}`, countdown(until, client.nowMs())],
        none: flags.state === 'waiting' ? 'nothing waits' : 'none',
      });
    });

  connection(approvals.command('get'))
    .description('all that an approval would be of')
    .argument('<task>')
    .addOption(jsonOption())
    .addHelpText('before', examples('mayfly approvals get tsk_...'))
    .action(async (task: string, flags: ConnectionFlags & { json?: boolean }) => {
      const client = createBrokerClient(flags, 'operator');
      const { body } = await client.call('GET', `/v1/tasks/${encodeURIComponent(task)}/approval`);
      if (flags.json === true) printJson(body);
      else print(inFull(body['approval'] as ApprovalAnswer, client.nowMs()));
    });

  for (const decision of ['approve', 'deny'] as const) {
    connection(approvals.command(decision))
      .description(decision === 'approve' ? 'say yes to a task, exactly as it was declared' : 'say no: the task ends')
      .argument('<task>')
      .option('--note <text>', 'for the record')
      .option('--digest <sha256:...>', 'of what you looked at: where the task is another, nothing is decided')
      .addOption(jsonOption())
      .addHelpText('before', examples(`mayfly approvals ${decision} tsk_... --digest sha256:...`))
      .addHelpText('after', '\nLook first: `mayfly approvals get <task>` shows what it is, and its digest.')
      .action(async (task: string, flags: DecideFlags) => {
        const request = { decision, ...(flags.note === undefined ? {} : { note: flags.note }), ...(flags.digest === undefined ? {} : { digest: flags.digest }) };
        const { body } = await createBrokerClient(flags, 'operator').call('POST', `/v1/tasks/${encodeURIComponent(task)}/approval`, request);
        if (flags.json === true) {
          printJson(body);
          return;
        }
        const { id, state, approvals: given, approvals_needed: needed } = body['approval'] as ApprovalAnswer;
        print(`task ${id} is ${state}`);
        if (state === 'waiting') say(`${given} of ${needed} have approved it: somebody else has to, too`);
        if (state === 'approved') say('its agent can claim it now');
      });
  }
}

/** All of it, one line each; nothing of it is obeyed by a terminal. */
function inFull({ envelope, ...approval }: ApprovalAnswer, nowMs: number): string {
  const pairs = (record: Readonly<Record<string, unknown>>): string => Object.entries(record).map(([name, value]) => `${name}=${String(value)}`).join(' ') || '-';
  const who = ({ issuer, subject }: Who): string => `${subject} (${issuer})`;
  const rows = [
    ['state', approval.state],
    ['agent', who(envelope.agent)],
    ['asked by', who(envelope.declarer)],
    ...(envelope.vouched_by === null ? [] : [['vouched by', envelope.vouched_by]]),
    ...(envelope.subject === null ? [] : [['on behalf of', envelope.subject]]),
    ...(envelope.chain.length === 0 ? [] : [['came through', envelope.chain.map(who).join(', ')]]),
    ['purpose', envelope.purpose],
    ['why, they say', envelope.justification ?? '-'],
    ['ticket', envelope.ticket ?? '-'],
    ['actions', envelope.actions.join(' ')],
    ['risk', approval.risk],
    ['data classes', envelope.data_classes.join(' ') || '-'],
    ['context', pairs(envelope.context)],
    ['for', `${envelope.ttl_seconds} s`],
    ...envelope.credentials.map(({ name, ttl_seconds: ttl, params }) => ['credential', [`${name} for ${ttl} s`, ...(Object.keys(params).length === 0 ? [] : [pairs(params)])].join(', ')]),
    ['approved', `${approval.approvals} of ${approval.approvals_needed}`],
    ...approval.approved_by.map(({ subject, at, note }) => ['', `${subject} at ${at}${note === null ? '' : `: ${note}`}`]),
    ['ends in', countdown(approval.waits_until, nowMs)],
    ['digest', approval.envelope_digest],
  ];
  return table(['TASK', approval.id], rows, '');
}
