import type { Command } from 'commander';
import { createBrokerClient, type ConnectionFlags } from '../broker-client.ts';
import { confirmed } from '../confirmed.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { print, printable, printJson, say, table } from '../output.ts';

interface AgentAnswer {
  readonly id: string;
  readonly issuer: string;
  readonly subject: string;
  readonly source: string;
  readonly owner: string;
  readonly purposes: readonly string[];
  readonly review_by: string;
  readonly review_overdue: boolean;
  readonly state: string;
  readonly live_leases: number;
  readonly live_tasks: number;
}

type Flags = ConnectionFlags & { readonly json?: boolean };
type Client = ReturnType<typeof createBrokerClient>;

const several = (value: string, before: readonly string[]): readonly string[] => [...before, value];

/** Commands of the register: agents ls, get, add, disable, enable. */
export function addAgentCommands(program: Command, connection: (command: Command) => Command): void {
  const agents = program.command('agents').description('who answers for an agent, and the switch that stops it, as an operator');

  connection(agents.command('ls'))
    .description('list registered agents')
    .option('--owner <owner>')
    .option('--state <state>', 'enabled or disabled')
    .option('--overdue', 'whose review is overdue')
    .option('--limit <n>', 'agents at most', '50')
    .option('--json')
    .action(async (flags: Flags & { owner?: string; state?: string; overdue?: boolean; limit: string }) => {
      const query = new URLSearchParams({ limit: flags.limit });
      if (flags.owner !== undefined) query.set('owner', flags.owner);
      if (flags.state !== undefined) query.set('state', flags.state);
      if (flags.overdue === true) query.set('review_overdue', 'true');
      const { body } = await createBrokerClient(flags, 'operator').call('GET', `/v1/agents?${query.toString()}`);
      if (flags.json === true) {
        printJson(body);
        return;
      }
      const rows = (body['items'] as AgentAnswer[]).map((one) => [one.subject, one.owner, one.state, `${one.review_by}${one.review_overdue ? ' overdue' : ''}`, String(one.live_tasks), String(one.live_leases), one.purposes.join(' '), one.id]);
      print(table(['AGENT', 'OWNER', 'STATE', 'REVIEW BY', 'TASKS', 'LEASES', 'PURPOSES', 'ID'], rows, 'no agents'));
      if (body['next_cursor'] !== null) say('there are more: --limit');
    });

  connection(agents.command('get'))
    .description('one agent, as JSON')
    .argument('<agent>', 'its id or its subject')
    .option('--json')
    .action(async (named: string, flags: Flags) => {
      printJson({ agent: await agentNamed(named, createBrokerClient(flags, 'operator')) });
    });

  connection(agents.command('add'))
    .description('register an agent, as an admin')
    .requiredOption('--subject <subject>', 'as its token says')
    .option('--issuer <issuer>', 'who vouches for it; not needed for a SPIFFE ID')
    .requiredOption('--owner <owner>', 'the person or team that answers for it')
    .requiredOption('--purpose <word>', 'may be given several times', several, [])
    .option('--environment <name>', 'may be given several times', several, [])
    .requiredOption('--review-by <date>', 'as 2027-01-31')
    .option('--description <text>')
    .option('--json')
    .addHelpText('before', 'Example:\n  mayfly agents add --subject spiffe://example.org/agent/refunds --owner team-refunds --purpose refund-investigation --review-by 2027-01-31\n')
    .action(async (flags: Flags & { subject: string; issuer?: string; owner: string; purpose: string[]; environment: string[]; reviewBy: string; description?: string }) => {
      const { subject, issuer, owner, purpose: purposes, environment: environments, reviewBy, description } = flags;
      const { body } = await createBrokerClient(flags, 'operator').call('POST', '/v1/agents', { subject, issuer, owner, purposes, environments, review_by: reviewBy, description });
      if (flags.json === true) printJson(body);
      else print(`${(body['agent'] as AgentAnswer).id} is registered: ${printable(owner)} answers for ${printable(subject)}`);
    });

  connection(agents.command('disable'))
    .description('stop an agent: end all that lives of its tasks, grant it nothing')
    .argument('<agent>', 'its id or its subject')
    .requiredOption('--reason <text>', 'for the record; the agent never sees it')
    .option('--yes', 'do not ask')
    .option('--json')
    .addHelpText('before', 'Example:\n  mayfly agents disable agent:refunds --reason "token seen in a log"\n')
    .action(async (named: string, flags: Flags & { reason: string; yes?: boolean }) => {
      const client = createBrokerClient(flags, 'operator');
      const agent = await agentNamed(named, client);
      if (flags.yes !== true) {
        if (!process.stdin.isTTY) throw new CliError(EXIT.usage, 'nobody is there to confirm: add --yes');
        say(`${agent.subject} of ${agent.owner} has ${agent.live_tasks} tasks and ${agent.live_leases} leases; all of them end.`);
        if (!(await confirmed('End them?'))) throw new CliError(EXIT.failure, 'nothing was disabled');
      }
      const { body } = await client.call('POST', `/v1/agents/${agent.id}/disable`, { reason: flags.reason });
      if (flags.json === true) {
        printJson(body);
        return;
      }
      print(`${printable(agent.subject)} is disabled: nothing is granted to it`);
      const { id, progress } = body['revocation'] as { id: string; progress: { total: number } };
      say(`revocation ${id} ends ${progress.total} leases`);
    });

  connection(agents.command('enable'))
    .description('let an agent ask again, as an admin')
    .argument('<agent>', 'its id or its subject')
    .option('--json')
    .action(async (named: string, flags: Flags) => {
      const client = createBrokerClient(flags, 'operator');
      const { id, subject } = await agentNamed(named, client);
      const { body } = await client.call('POST', `/v1/agents/${id}/enable`, {});
      if (flags.json === true) printJson(body);
      else print(`${printable(subject)} is enabled`);
    });
}

/** The one agent of that id or subject. Several issuers may vouch for the same subject: then only an id tells which. */
async function agentNamed(named: string, client: Client): Promise<AgentAnswer> {
  if (/^agt_[0-9a-f]{32}$/.test(named)) return (await client.call('GET', `/v1/agents/${named}`)).body['agent'] as AgentAnswer;
  const { body } = await client.call('GET', `/v1/agents?${new URLSearchParams({ subject: named }).toString()}`);
  const [agent, ...others] = body['items'] as AgentAnswer[];
  if (agent === undefined) throw new CliError(EXIT.failure, `no agent is registered as ${named}`);
  if (others.length > 0) throw new CliError(EXIT.usage, `several issuers vouch for ${named}; name one by its id:`, ...[agent, ...others].map(({ id, issuer }) => `  ${id} ${issuer}`));
  return agent;
}
