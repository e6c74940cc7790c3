import type { Command } from 'commander';
import { createBrokerClient, type ConnectionFlags } from '../broker-client.ts';
import { someoneIsThere } from '../confirmed.ts';
import { examples } from '../examples.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { confirmRevocation, dryRun, settleRevocation, withEveryResult } from '../follow-revocation.ts';
import { jsonOption } from '../output-flags.ts';
import { reportRevocation, type RevocationAnswer } from '../revocation-output.ts';
import { REVOCATION_WORDS, selectorOf, withSelector, type SelectorFlags } from '../selector-flags.ts';

type RevokeFlags = ConnectionFlags & SelectorFlags & { readonly reason: string; readonly dryRun?: boolean; readonly yes?: boolean; readonly json?: boolean };

/** Commands that end credentials on demand: revoke, and revocation get and cancel. */
export function addRevocationCommands(program: Command, connection: (command: Command) => Command): void {
  withSelector(connection(program.command('revoke')), REVOCATION_WORDS)
    .description('end credentials on demand, as an operator: what all the given words match')
    .argument('[id]', 'of a task or a lease, in place of --task or --lease')
    .requiredOption('--reason <text>', 'for the record')
    .option('--dry-run', 'only show what would end')
    .option('--yes', 'do not ask')
    .addOption(jsonOption())
    .addHelpText('before', examples('mayfly revoke --agent agent:refunds --reason "token seen in a log" --dry-run', 'mayfly revoke tsk_... --reason "wrong order" --yes --json'))
    .action(async (id: string | undefined, flags: RevokeFlags) => {
      const selector = selectorOf({ ...flags, ...named(id, flags) }, REVOCATION_WORDS, 'revoke');
      const wanted = { selector, reason: flags.reason };
      const client = createBrokerClient(flags, 'operator');
      if (flags.dryRun === true) {
        reportRevocation(await dryRun(wanted, client), flags.json === true);
        return;
      }
      if (flags.yes !== true) {
        someoneIsThere('add --yes, or look first with --dry-run');
        await confirmRevocation(wanted, client);
      }
      const { body } = await client.call('POST', '/v1/revocations', { ...wanted, dry_run: false });
      await settleRevocation(body['revocation'] as RevocationAnswer, client, (ended) => reportRevocation(ended, flags.json === true));
    });

  const revocation = program.command('revocation').description('look after a revocation, as an operator');
  const call = async (flags: ConnectionFlags & { json?: boolean }, method: 'GET' | 'POST', path: string): Promise<void> => {
    const client = createBrokerClient(flags, 'operator');
    const { body } = await client.call(method, `/v1/revocations/${path}`, method === 'POST' ? {} : undefined);
    reportRevocation(await withEveryResult(body['revocation'] as RevocationAnswer, client), flags.json === true);
  };
  connection(revocation.command('get'))
    .description('how far it is, and what became of its leases')
    .argument('<revocation>')
    .addOption(jsonOption())
    .addHelpText('before', examples('mayfly revocation get rev_...'))
    .action((id: string, flags: ConnectionFlags & { json?: boolean }) => call(flags, 'GET', encodeURIComponent(id)));
  connection(revocation.command('cancel'))
    .description('ask for no further end; what was asked for goes on')
    .argument('<revocation>')
    .addOption(jsonOption())
    .addHelpText('before', examples('mayfly revocation cancel rev_...'))
    .action((id: string, flags: ConnectionFlags & { json?: boolean }) => call(flags, 'POST', `${encodeURIComponent(id)}/cancel`));
}

/** The selector of an id that stands alone. Throws a usage error for an id of something else. */
function named(id: string | undefined, flags: SelectorFlags): SelectorFlags {
  if (id === undefined) return {};
  const word = id.startsWith('tsk_') ? 'task' : id.startsWith('lse_') ? 'lease' : undefined;
  if (word === undefined) throw new CliError(EXIT.usage, `${id} is the id of no task and no lease; say what to revoke with --agent, --credential and the like`);
  if (flags[word] !== undefined) throw new CliError(EXIT.usage, `--${word} and ${id}: say it once`);
  return { [word]: id };
}
