import { Option, type Command } from 'commander';
import { createBrokerClient, type ConnectionFlags } from '../broker-client.ts';
import { confirmed, someoneIsThere } from '../confirmed.ts';
import { examples } from '../examples.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { BULK, settleRevocation } from '../follow-revocation.ts';
import { listOf } from '../list-pages.ts';
import { jsonOption, printList, withListOutput, type ListFlags } from '../output-flags.ts';
import { print, printable, printJson, tell, table } from '../output.ts';
import { repeatable } from '../repeatable.ts';
import { reportRevocation, type RevocationAnswer } from '../revocation-output.ts';

interface AgentAnswer {
  readonly id: string;
  readonly issuer: string;
  readonly subject: string;
  readonly source: string;
  readonly owner: string;
  readonly purposes: readonly string[];
  readonly environments: readonly string[];
  readonly disabled: { readonly by: string; readonly at: string; readonly reason: string } | null;
  readonly review_by: string;
  readonly review_overdue: boolean;
  readonly state: string;
  readonly live_leases: number;
  readonly live_tasks: number;
}

type Flags = ConnectionFlags & { readonly json?: boolean };
type Client = ReturnType<typeof createBrokerClient>;

/** Commands of the register: agents ls, get, add, disable, enable. */
export function addAgentCommands(program: Command, connection: (command: Command) => Command): void {
  const agents = program.command('agents').description('who answers for an agent, and the switch that stops it, as an operator');

  withListOutput(connection(agents.command('ls')))
    .description('list registered agents')
    .option('--owner <owner>', 'who answers for it')
    .addOption(new Option('--state <state>', 'as it stands').choices(['enabled', 'disabled']))
    .option('--overdue', 'whose review is overdue')
    .option('--limit <n>', 'agents at most', '50')
    .addHelpText('before', examples('mayfly agents ls --overdue'))
    .action(async (flags: ConnectionFlags & ListFlags & { owner?: string; state?: string; overdue?: boolean; limit: string }) => {
      const filters = { owner: flags.owner, state: flags.state, review_overdue: flags.overdue === true ? 'true' : undefined };
      const document = await listOf<AgentAnswer>(createBrokerClient(flags, 'operator'), '/v1/agents', filters, flags.limit);
      printList(flags, document, {
        header: ['AGENT', 'OWNER', 'STATE', 'REVIEW BY', 'TASKS', 'LEASES', 'PURPOSES', 'ID'],
        row: (one) => [one.subject, one.owner, one.state === 'disabled' ? ['red', one.state] : one.state, one.review_overdue ? ['yellow', `${one.review_by} overdue`] : one.review_by, String(one.live_tasks), String(one.live_leases), one.purposes.join(' '), one.id],
        none: 'no agents',
      });
    });

  connection(agents.command('get'))
    .description('one agent: who answers for it, and what it has')
    .argument('<agent>', 'its id or its subject')
    .addOption(jsonOption())
    .addHelpText('before', examples('mayfly agents get agent:refunds'))
    .action(async (named: string, flags: Flags) => {
      const agent = await agentNamed(named, createBrokerClient(flags, 'operator'));
      if (flags.json === true) printJson({ agent });
      else print(inFull(agent));
    });

  connection(agents.command('add'))
    .description('register an agent, as an admin')
    .requiredOption('--subject <subject>', 'as its token says')
    .option('--issuer <issuer>', 'who vouches for it; not needed for a SPIFFE ID')
    .requiredOption('--owner <owner>', 'the person or team that answers for it')
    .requiredOption('--purpose <word>', 'may be given several times', repeatable, [])
    .option('--environment <name>', 'may be given several times', repeatable, [])
    .requiredOption('--review-by <date>', 'as 2027-01-31')
    .option('--description <text>', 'what it does, for people')
    .addOption(jsonOption())
    .addHelpText('before', examples('mayfly agents add --subject spiffe://example.org/agent/refunds --owner team-refunds --purpose refund-investigation --review-by 2027-01-31'))
    .action(async (flags: Flags & { subject: string; issuer?: string; owner: string; purpose: string[]; environment: string[]; reviewBy: string; description?: string }) => {
      const { subject, issuer, owner, purpose: purposes, environment: environments, reviewBy, description } = flags;
      const { body } = await createBrokerClient(flags, 'admin').call('POST', '/v1/agents', { subject, issuer, owner, purposes, environments, review_by: reviewBy, description });
      if (flags.json === true) printJson(body);
      else print(`${(body['agent'] as AgentAnswer).id} is registered: ${printable(owner)} answers for ${printable(subject)}`);
    });

  connection(agents.command('disable'))
    .description('stop an agent: end all that lives of its tasks, grant it nothing')
    .argument('<agent>', 'its id or its subject')
    .requiredOption('--reason <text>', 'for the record; the agent never sees it')
    .option('--yes', 'do not ask')
    .addOption(jsonOption())
    .addHelpText('before', examples('mayfly agents disable agent:refunds --reason "token seen in a log"'))
    .action(async (named: string, flags: Flags & { reason: string; yes?: boolean }) => {
      const client = createBrokerClient(flags, 'operator');
      const agent = await agentNamed(named, client);
      if (flags.yes !== true) {
        someoneIsThere();
        tell(`${agent.subject} of ${agent.owner} has ${agent.live_tasks} tasks and ${agent.live_leases} leases; all of them end.`);
        if (!(await confirmed('End them?', agent.live_leases > BULK ? agent.subject : 'yes'))) throw new CliError(EXIT.failure, 'nothing was disabled');
      }
      const { body } = await client.call('POST', `/v1/agents/${agent.id}/disable`, { reason: flags.reason });
      if (flags.json !== true) print(`${printable(agent.subject)} is disabled: nothing is granted to it`);
      await settleRevocation(body['revocation'] as RevocationAnswer, client, (revocation) => (flags.json === true ? printJson({ ...body, revocation }) : reportRevocation(revocation, false)));
    });

  connection(agents.command('enable'))
    .description('let an agent ask again, as an admin')
    .argument('<agent>', 'its id or its subject')
    .addOption(jsonOption())
    .addHelpText('before', examples('mayfly agents enable agent:refunds'))
    .action(async (named: string, flags: Flags) => {
      const client = createBrokerClient(flags, 'admin');
      const { id, subject } = await agentNamed(named, client);
      const { body } = await client.call('POST', `/v1/agents/${id}/enable`, {});
      if (flags.json === true) printJson(body);
      else print(`${printable(subject)} is enabled`);
    });
}

const inFull = (agent: AgentAnswer): string =>
  table(
    ['AGENT', agent.subject],
    [
      ['id', agent.id],
      ['issuer', agent.issuer],
      ['owner', agent.owner],
      ['state', agent.state === 'disabled' ? ['red', `disabled by ${agent.disabled?.by ?? '?'} at ${agent.disabled?.at ?? '?'}: ${agent.disabled?.reason ?? ''}`] : agent.state],
      ['purposes', agent.purposes.join(' ') || '-'],
      ['environments', agent.environments.join(' ') || '-'],
      ['review by', agent.review_overdue ? ['yellow', `${agent.review_by} overdue`] : agent.review_by],
      ['has', `${agent.live_tasks} tasks, ${agent.live_leases} leases`],
      ['from', agent.source],
    ],
    '',
  );

/** The one agent of that id or subject. Several issuers may vouch for the same subject: then only an id tells which. */
async function agentNamed(named: string, client: Client): Promise<AgentAnswer> {
  if (/^agt_[0-9a-f]{32}$/.test(named)) return (await client.call('GET', `/v1/agents/${named}`)).body['agent'] as AgentAnswer;
  const { body } = await client.call('GET', `/v1/agents?${new URLSearchParams({ subject: named }).toString()}`);
  const [agent, ...others] = body['items'] as AgentAnswer[];
  if (agent === undefined) throw new CliError(EXIT.notFound, `no agent is registered as ${named}`);
  if (others.length > 0) throw new CliError(EXIT.usage, `several issuers vouch for ${named}; name one by its id:`, ...[agent, ...others].map(({ id, issuer }) => `  ${id} ${issuer}`));
  return agent;
}
