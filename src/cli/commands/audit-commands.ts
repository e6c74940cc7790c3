import { Option, type Command } from 'commander';
import { createBrokerClient, type ConnectionFlags } from '../broker-client.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { print, printJson, say, table } from '../output.ts';
import { addStoryCommand } from './story-command.ts';

const collect = (value: string, before: readonly string[]): string[] => [...before, value];

interface VerifyFlags {
  readonly checkpoints?: string;
  readonly key: readonly string[];
  readonly json?: boolean;
}

interface SearchFlags extends ConnectionFlags {
  readonly task?: string;
  readonly lease?: string;
  readonly agent?: string;
  readonly purpose?: string;
  readonly type?: string;
  readonly since?: string;
  readonly until?: string;
  readonly oldest?: boolean;
  readonly limit: string;
  readonly json?: boolean;
}

interface AuditItem {
  readonly seq: number;
  readonly sealed_at: string;
  readonly event: { readonly type: string; readonly at?: string; readonly task?: string | null; readonly by?: { readonly subject: string }; readonly facts?: { readonly purpose?: string } };
}

/** `mayfly audit`: verify a file offline, search what a broker has, tell the story of a task. */
export function addAuditCommands(program: Command, connection: (command: Command) => Command): void {
  const audit = program.command('audit').description('work with the audit log');

  audit
    .command('verify')
    .description('find the first line of an audit file that is changed, missing, moved or cut off')
    .argument('<file>')
    .option('--key <verifier key>', 'whoever may sign its checkpoints, as `mayfly keys ls` prints it; repeat for more', collect, [])
    .option('--checkpoints <file>', 'its checkpoints, best kept elsewhere; else those beside it')
    .option('--json')
    .addHelpText('before', 'Example:\n  mayfly audit verify /var/lib/mayfly/audit.jsonl --key prod/mayfly-audit+1b2f9c0a+AQ...\n')
    .action(async (file: string, flags: VerifyFlags) => {
      const { verifyChainFile } = await import('../../audit/verify-chain.ts');
      const { checkpointFileOf, readCheckpoints } = await import('../../audit/checkpoint-file.ts');
      const { parseVerifierKey } = await import('../../audit/signed-note.ts');
      const verifiers = flags.key.map((key) => {
        try {
          return parseVerifierKey(key);
        } catch (error) {
          throw new CliError(EXIT.usage, `--key ${key}: ${error instanceof Error ? error.message : ''}`);
        }
      });
      const checkpointFile = flags.checkpoints ?? checkpointFileOf(file);
      const checkpoints = verifiers.length === 0 ? [] : await readCheckpoints(checkpointFile, verifiers);
      const verdict = await verifyChainFile(file, checkpoints).catch(() => {
        throw new CliError(EXIT.failure, `${file} cannot be read`);
      });
      if (flags.json === true) printJson(verdict);
      if (!verdict.ok) {
        const where = verdict.problem === 'unknown_key' ? checkpointFile : file;
        throw new CliError(EXIT.failure, `${where}, line ${verdict.line}: ${verdict.problem}: ${verdict.detail}`);
      }
      if (flags.json !== true) print(`${file} is whole: ${verdict.records} records, head ${verdict.head ?? 'none'}`);
      if (verdict.checkpoint !== null) say(`signed up to record ${verdict.checkpoint.seq}, at ${verdict.checkpoint.at}`);
      else say(verifiers.length === 0 ? 'lines cut off at the end were not looked for: name whoever signs its checkpoints with --key' : `there is no checkpoint in ${checkpointFile}: lines cut off at the end cannot be told`);
      const { forged, gaps, resets } = verdict.notices;
      if (forged + gaps + resets > 0) say(`its sealer noticed ${forged} forged events, ${gaps} gaps and ${resets} resets of the stream; look for audit.forged, audit.gap and audit.reset`);
    });

  connection(audit.command('search'))
    .description('what a broker has on the record, newest first')
    .option('--task <id>')
    .option('--lease <id>')
    .option('--agent <subject>', 'whose authority was at stake, or who did it')
    .option('--purpose <code>')
    .option('--type <type>', 'an event type such as lease.revoked, or all of `lease`')
    .option('--since <instant>', 'RFC 3339')
    .option('--until <instant>', 'RFC 3339')
    .option('--oldest', 'oldest first')
    .addOption(new Option('--limit <n>', 'records at most').default('50'))
    .option('--json')
    .addHelpText('before', 'Example:\n  mayfly audit search --agent agent:refunds --type lease --since 2026-01-01T00:00:00Z\n')
    .action(async (flags: SearchFlags) => {
      const { task, lease, agent, purpose, type, since, until, limit } = flags;
      const given = Object.entries({ task, lease, agent, purpose, type, since, until, limit, order: flags.oldest === true ? 'oldest' : undefined });
      const query = new URLSearchParams(given.flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as [string, string]])));
      const { body } = await createBrokerClient(flags, 'operator').call('GET', `/v1/audit?${query.toString()}`);
      if (flags.json === true) {
        printJson(body);
        return;
      }
      const rows = (body['items'] as AuditItem[]).map(({ seq, sealed_at: sealedAt, event }) => [
        String(seq), event.at ?? sealedAt, event.type, event.task ?? '-', event.by?.subject ?? '-', event.facts?.purpose ?? '-',
      ]);
      print(table(['SEQ', 'AT', 'EVENT', 'TASK', 'BY', 'PURPOSE'], rows, 'nothing on the record fits'));
      if (body['next_cursor'] !== null) say('there is more: raise --limit, or narrow the time');
    });

  addStoryCommand(audit, connection);
}
