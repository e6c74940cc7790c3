import type { Command } from 'commander';
import { createBrokerClient, type ConnectionFlags } from '../broker-client.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { countdown, print, printJson, say, table } from '../output.ts';
import { LOCK_WORDS, selectorOf, withSelector, type SelectorFlags } from '../selector-flags.ts';

interface LockAnswer {
  readonly id: string;
  readonly selector: Readonly<Record<string, unknown>>;
  readonly reason: string;
  readonly created_by: string;
  readonly until: string;
  readonly everywhere: boolean;
}

/** Commands of the kill switch: lock create, ls, rm. */
export function addLockCommands(program: Command, connection: (command: Command) => Command): void {
  const lock = program.command('lock').description('refuse new grants until a time, as an operator');

  withSelector(connection(lock.command('create')), LOCK_WORDS)
    .description('refuse what all the given words match; answered when it is in force everywhere')
    .requiredOption('--reason <text>', 'for the record; who is refused never sees it')
    .option('--until <instant>', 'RFC 3339, within 30 days')
    .option('--for <time>', 'as 30m, 4h or 2d, in place of --until')
    .option('--revoke', 'also end what is live')
    .option('--json')
    .addHelpText('before', 'Example:\n  mayfly lock create --agent agent:refunds --for 4h --revoke --reason "token seen in a log"\n')
    .action(async (flags: ConnectionFlags & SelectorFlags & { reason: string; until?: string; for?: string; revoke?: boolean; json?: boolean }) => {
      const selector = selectorOf(flags, LOCK_WORDS, 'lock');
      const request = { selector, reason: flags.reason, until: endOf(flags), revoke: flags.revoke ?? false };
      const { body } = await createBrokerClient(flags, 'operator').call('POST', '/v1/locks', request);
      if (flags.json === true) {
        printJson(body);
        return;
      }
      const { id, until } = body['lock'] as LockAnswer;
      print(`lock ${id} is in force for ${countdown(until, Date.now())}`);
      const revocation = body['revocation'] as { id: string; progress: { total: number } } | null;
      if (revocation !== null) say(`revocation ${revocation.id} ends ${revocation.progress.total} leases`);
    });

  connection(lock.command('ls'))
    .description('list the locks in force')
    .option('--json')
    .action(async (flags: ConnectionFlags & { json?: boolean }) => {
      const { body } = await createBrokerClient(flags, 'operator').call('GET', '/v1/locks');
      if (flags.json === true) {
        printJson(body);
        return;
      }
      const items = body['items'] as LockAnswer[];
      const rows = items.map((one) => [one.id, wordsOf(one.selector), countdown(one.until, Date.now()), one.created_by, one.reason]);
      print(table(['LOCK', 'COVERS', 'ENDS IN', 'BY', 'REASON'], rows, 'no locks'));
      for (const { id } of items.filter(({ everywhere }) => !everywhere)) say(`${id} is not in force everywhere: place it again, or remove it`);
    });

  connection(lock.command('rm'))
    .description('lift a lock')
    .argument('<lock>')
    .option('--json')
    .action(async (id: string, flags: ConnectionFlags & { json?: boolean }) => {
      const { body } = await createBrokerClient(flags, 'operator').call('DELETE', `/v1/locks/${encodeURIComponent(id)}`);
      if (flags.json === true) printJson(body);
      else print(`lock ${(body['lock'] as LockAnswer).id} is lifted`);
    });
}

const wordsOf = (selector: LockAnswer['selector']): string => Object.entries(selector).map(([word, value]) => (value === true ? word : `${word}=${String(value)}`)).join(' ');

const UNIT_MS = { m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

function endOf(flags: { readonly until?: string; readonly for?: string }): string {
  if ((flags.until === undefined) === (flags.for === undefined)) throw new CliError(EXIT.usage, 'say when it ends: --until or --for');
  if (flags.until !== undefined) return flags.until;
  const match = /^(\d{1,5})([mhd])$/.exec(flags.for ?? '');
  if (match === null) throw new CliError(EXIT.usage, '--for takes minutes, hours or days, as 30m, 4h or 2d');
  return new Date(Date.now() + Number(match[1]) * UNIT_MS[match[2] as keyof typeof UNIT_MS]).toISOString();
}
