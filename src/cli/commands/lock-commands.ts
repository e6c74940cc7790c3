import type { Command } from 'commander';
import { systemClock } from '../../core/clock.ts';
import { createBrokerClient, type ConnectionFlags } from '../broker-client.ts';
import { someoneIsThere } from '../confirmed.ts';
import { durationFlag } from '../duration-flag.ts';
import { examples } from '../examples.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { confirmRevocation, settleRevocation } from '../follow-revocation.ts';
import { jsonOption, printList, withListOutput, type ListFlags } from '../output-flags.ts';
import { countdown, print, printJson, tell } from '../output.ts';
import { reportRevocation, type RevocationAnswer } from '../revocation-output.ts';
import { LOCK_WORDS, selectorOf, withSelector, type SelectorFlags } from '../selector-flags.ts';

interface LockAnswer {
  readonly id: string;
  readonly selector: Readonly<Record<string, unknown>>;
  readonly reason: string;
  readonly created_by: string;
  readonly until: string;
  readonly everywhere: boolean;
}

type CreateFlags = ConnectionFlags & SelectorFlags & { readonly reason: string; readonly until?: string; readonly for?: string; readonly revoke?: boolean; readonly yes?: boolean; readonly json?: boolean };

/** Commands of the kill switch: lock create, ls, rm. */
export function addLockCommands(program: Command, connection: (command: Command) => Command): void {
  const lock = program.command('lock').description('refuse new grants until a time, as an operator');

  withSelector(connection(lock.command('create')), LOCK_WORDS)
    .description('refuse what all the given words match; answered when it is in force everywhere')
    .requiredOption('--reason <text>', 'for the record; who is refused never sees it')
    .option('--until <instant>', 'RFC 3339, within 30 days')
    .option('--for <time>', 'as 30m, 4h or 2d, in place of --until')
    .option('--revoke', 'also end what is live, and tell what became of it')
    .option('--yes', 'with --revoke: do not ask')
    .addOption(jsonOption())
    .addHelpText('before', examples('mayfly lock create --agent agent:refunds --for 4h --revoke --reason "token seen in a log"'))
    .action(async (flags: CreateFlags) => {
      const { reason } = flags;
      const selector = selectorOf(flags, LOCK_WORDS, 'lock');
      const until = endOf(flags);
      const client = createBrokerClient(flags, 'operator');
      if (flags.revoke === true && flags.yes !== true) {
        someoneIsThere();
        await confirmRevocation({ selector, reason }, client);
      }
      const { body } = await client.call('POST', '/v1/locks', { selector, reason, until, revoke: flags.revoke ?? false });
      const placed = body['lock'] as LockAnswer;
      const revocation = body['revocation'] as RevocationAnswer | null;
      if (flags.json !== true) print(`lock ${placed.id} is in force for ${countdown(placed.until, client.nowMs())}`);
      if (revocation === null) {
        if (flags.json === true) printJson(body);
        return;
      }
      await settleRevocation(revocation, client, (ended) => (flags.json === true ? printJson({ lock: placed, revocation: ended }) : reportRevocation(ended, false)));
    });

  withListOutput(connection(lock.command('ls')))
    .description('list the locks in force')
    .addHelpText('before', examples('mayfly lock ls'))
    .action(async (flags: ConnectionFlags & ListFlags) => {
      const client = createBrokerClient(flags, 'operator');
      const { body } = await client.call('GET', '/v1/locks');
      const items = body['items'] as LockAnswer[];
      printList(flags, { ...body, items }, {
        header: ['LOCK', 'COVERS', 'ENDS IN', 'BY', 'REASON'],
        row: (one) => [one.id, wordsOf(one.selector), countdown(one.until, client.nowMs()), one.created_by, one.reason],
        none: 'no locks',
      });
      for (const { id } of items.filter(({ everywhere }) => !everywhere)) tell(`${id} is not in force everywhere: place it again, or remove it`);
    });

  connection(lock.command('rm'))
    .description('lift a lock')
    .argument('<lock>')
    .addOption(jsonOption())
    .addHelpText('before', examples('mayfly lock rm lck_...'))
    .action(async (id: string, flags: ConnectionFlags & { json?: boolean }) => {
      const { body } = await createBrokerClient(flags, 'operator').call('DELETE', `/v1/locks/${encodeURIComponent(id)}`);
      if (flags.json === true) printJson(body);
      else print(`lock ${(body['lock'] as LockAnswer).id} is lifted`);
    });
}

const wordsOf = (selector: LockAnswer['selector']): string => Object.entries(selector).map(([word, value]) => (value === true ? word : `${word}=${String(value)}`)).join(' ');

function endOf(flags: { readonly until?: string; readonly for?: string }): string {
  if ((flags.until === undefined) === (flags.for === undefined)) throw new CliError(EXIT.usage, 'say when it ends: --until or --for');
  if (flags.until !== undefined) return flags.until;
  return new Date(systemClock.now() + durationFlag('--for', flags.for ?? '')).toISOString();
}
