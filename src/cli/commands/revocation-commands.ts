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
    .argument('[ids...]', 'of a task, or of one or more leases, in place of --task or --lease')
    .requiredOption('--reason <text>', 'for the record')
    .option('--dry-run', 'only show what would end')
    .option('--yes', 'do not ask')
    .addOption(jsonOption())
    .addHelpText('before', examples('mayfly revoke --agent agent:refunds --reason "token seen in a log" --dry-run', 'mayfly revoke tsk_... --reason "wrong order" --yes --json', 'mayfly revoke lse_... lse_... --reason "seen in a log"'))
    .action(async (ids: readonly string[], flags: RevokeFlags) => {
      const selector = selectorOf({ ...flags, ...named(ids, flags) }, REVOCATION_WORDS, 'revoke');
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

/** The selector of ids that stand alone. Throws a usage error for an id of something else, and for tasks beside others. */
function named(ids: readonly string[], flags: SelectorFlags): SelectorFlags {
  if (ids.length === 0) return {};
  const unknown = ids.find((id) => !/^(?:tsk|lse)_/.test(id));
  if (unknown !== undefined) throw new CliError(EXIT.usage, `${unknown} is the id of no task and no lease; say what to revoke with --agent, --credential and the like`);
  const [task] = ids.filter((id) => id.startsWith('tsk_'));
  if (task === undefined) return { lease: [...(flags.lease ?? []), ...ids] };
  if (ids.length > 1) throw new CliError(EXIT.usage, `${task} stands beside other ids: one task at a time, or leases alone`);
  if (flags.task !== undefined) throw new CliError(EXIT.usage, `--task and ${task}: say it once`);
  return { task };
}
