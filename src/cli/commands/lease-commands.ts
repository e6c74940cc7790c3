import { Option, type Command } from 'commander';
import { createBrokerClient, type BrokerClient, type ConnectionFlags } from '../broker-client.ts';
import { durationFlag } from '../duration-flag.ts';
import { examples } from '../examples.ts';
import { leaseColumns, leaseLine, leaseText, type LeaseAnswer } from '../lease-output.ts';
import { listOf } from '../list-pages.ts';
import { inJson, jsonOption, printList, withListOutput, withWatchOutput, type ListFlags, type WatchFlags } from '../output-flags.ts';
import { print, printJson, say } from '../output.ts';
import { watchList } from '../watch-list.ts';

/** Which leases a command is about. */
export interface LeaseFilterFlags {
  readonly state?: string;
  readonly live?: boolean;
  readonly agent?: string;
  readonly owner?: string;
  readonly purpose?: string;
  readonly credential?: string;
  readonly provider?: string;
  readonly task?: string;
  readonly tree?: string;
  readonly traceId?: string;
  readonly dueBefore?: string;
  readonly dueWithin?: string;
}

type OneFlags = ConnectionFlags & { readonly json?: boolean };

const STATES = ['intended', 'active', 'revoking', 'stuck', 'revoked', 'lapsed', 'abandoned', 'disclosed'];

/** Commands about the lifetimes of credentials: leases ls, watch, get, retry, acknowledge. */
export function addLeaseCommands(program: Command, connection: (command: Command) => Command): void {
  const leases = program.command('leases').description('the lifetimes of credentials, as an operator');

  withListOutput(withLeaseFilter(connection(leases.command('ls'))))
    .description('list leases: with --live, a live --state or a due time, what is due first; else the newest')
    .option('--limit <n>', 'leases at most', '50')
    .addHelpText('before', examples('mayfly leases ls --live --agent agent:refunds', 'mayfly leases ls --state stuck --output jsonl'))
    .action(async (flags: ConnectionFlags & LeaseFilterFlags & ListFlags & { limit: string }) => {
      const client = createBrokerClient(flags, 'operator');
      const document = await listOf<LeaseAnswer>(client, '/v1/leases', leaseQuery(flags, client), flags.limit);
      printList(flags, document, leaseColumns(client.nowMs()));
    });

  withWatchOutput(connection(withLeaseFilter(leases.command('watch'))))
    .description('a line for each lease that appears or changes, until Ctrl-C')
    .addHelpText('before', examples('mayfly leases watch --agent agent:refunds'))
    .action(async (flags: ConnectionFlags & LeaseFilterFlags & WatchFlags) => {
      const client = createBrokerClient(flags, 'operator');
      const given = leaseQuery(flags, client);
      const filters = given.state === undefined ? { ...given, live: 'true' } : given;
      const tell = (lease: LeaseAnswer): void => print(inJson(flags) ? JSON.stringify(lease) : leaseLine(lease, client.nowMs()));
      await watchList(client, { path: '/v1/leases', filters, member: 'lease', tell }, new AbortController().signal);
    });

  connection(leases.command('get'))
    .description('one lease: its state, when it is due, and what was tried')
    .argument('<lease>')
    .addOption(jsonOption())
    .addHelpText('before', examples('mayfly leases get lse_...'))
    .action(async (lease: string, flags: OneFlags) => show(flags, lease));

  connection(leases.command('retry'))
    .description('try a stuck revocation again now')
    .argument('<lease>')
    .addOption(jsonOption())
    .addHelpText('before', examples('mayfly leases retry lse_...'))
    .action(async (lease: string, flags: OneFlags) => show(flags, lease, 'retry', {}));

  connection(leases.command('acknowledge'))
    .description('say that a stuck revocation was seen, and why it stands; it is tried as before')
    .argument('<lease>')
    .requiredOption('--reason <text>', 'for the record')
    .addOption(jsonOption())
    .addHelpText('before', examples('mayfly leases acknowledge lse_... --reason "the database is down until 14:00, OPS-12"'))
    .action(async (lease: string, flags: OneFlags & { reason: string }) => show(flags, lease, 'acknowledge', { reason: flags.reason }));
}

/** Gives a command the filters of `GET /v1/leases`. */
export const withLeaseFilter = (command: Command): Command =>
  [
    new Option('--state <state>', 'as it stands').choices(STATES),
    new Option('--live', 'all that are not dead yet').conflicts('state'),
    new Option('--agent <subject>', 'whose'),
    new Option('--owner <owner>', 'who answers for the agent'),
    new Option('--purpose <word>', 'why the task was declared'),
    new Option('--credential <name>', 'as the configuration calls it'),
    new Option('--provider <name>', 'as the configuration calls it'),
    new Option('--task <id>', 'of this task'),
    new Option('--tree <id>', 'of this root task and all that it delegated'),
    new Option('--trace-id <id>', 'whose task was declared in this W3C trace'),
    new Option('--due-before <instant>', 'RFC 3339'),
    new Option('--due-within <time>', 'as 90s, 5m or 1h').conflicts('dueBefore'),
  ].reduce((so, option) => so.addOption(option.helpGroup('Which (all that is given has to match):')), command);

/** What the filters ask of `GET /v1/leases`. Throws a usage error. */
export function leaseQuery(flags: LeaseFilterFlags, client: Pick<BrokerClient, 'nowMs'>): Record<string, string | undefined> {
  const { state, agent, owner, purpose, credential, provider, task, tree, traceId, dueBefore, dueWithin } = flags;
  const within = dueWithin === undefined ? undefined : new Date(client.nowMs() + durationFlag('--due-within', dueWithin)).toISOString();
  return { state, agent, owner, purpose, credential, provider, task, tree, trace_id: traceId, due_before: dueBefore ?? within, live: flags.live === true ? 'true' : undefined };
}

/** Looks at a lease, or does something about it, and shows how it stands then. */
async function show(flags: OneFlags, lease: string, act?: 'retry' | 'acknowledge', body?: object): Promise<void> {
  const client = createBrokerClient(flags, 'operator');
  const path = `/v1/leases/${encodeURIComponent(lease)}`;
  const answer = (await (act === undefined ? client.call('GET', path) : client.call('POST', `${path}/${act}`, body))).body;
  if (flags.json === true) printJson(answer);
  else print(leaseText(answer['lease'] as LeaseAnswer, client.nowMs()));
  if (act === 'retry' && (answer['lease'] as LeaseAnswer).state === 'active') say(`nothing to try again: nobody has asked for its end; mayfly revoke ${lease} --reason "..." does`);
}
