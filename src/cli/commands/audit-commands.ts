import type { Command } from 'commander';
import { examples } from '../examples.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { jsonOption } from '../output-flags.ts';
import { print, printJson, say, tell } from '../output.ts';
import { progressLine } from '../progress-line.ts';
import { repeatable } from '../repeatable.ts';
import { addAuditExportCommand } from './audit-export-command.ts';
import { addAuditProofCommands, verifiersOf } from './audit-proof-commands.ts';
import { addAuditSearchCommand } from './audit-search-command.ts';
import { addStoryCommand } from './story-command.ts';

interface VerifyFlags {
  readonly checkpoints?: string;
  readonly key: readonly string[];
  readonly json?: boolean;
}

/** `mayfly audit`: verify a file offline, search the log, tell the story of a task or of an agent. */
export function addAuditCommands(program: Command, connection: (command: Command) => Command): void {
  const audit = program.command('audit').description('work with the audit log');

  audit
    .command('verify')
    .description('find the first line of an audit log that is changed, missing, moved or cut off')
    .argument('<file>', 'rotated files beside it are read too; or a folder')
    .option('--key <verifier key>', 'whoever may sign its checkpoints, as `mayfly keys ls` prints it; repeat for more', repeatable, [])
    .option('--checkpoints <file>', 'its checkpoints, best kept elsewhere; else those beside it')
    .addOption(jsonOption())
    .addHelpText('before', examples('mayfly audit verify /var/lib/mayfly/audit.jsonl --key prod/mayfly-audit+1b2f9c0a+AQ...'))
    .action(async (file: string, flags: VerifyFlags) => {
      const { verifyChainFile } = await import('../../audit/verify-chain.ts');
      const { readCheckpoints } = await import('../../audit/checkpoint-file.ts');
      const { logFilesAt } = await import('../../audit/log-files.ts');
      const verifiers = await verifiersOf(flags.key);
      const checkpointFile = flags.checkpoints ?? (await logFilesAt(file)).checkpoints;
      const checkpoints = verifiers.length === 0 ? [] : await readCheckpoints(checkpointFile, verifiers);
      const line = progressLine();
      const verdict = await verifyChainFile(file, checkpoints, ({ bytes, totalBytes, records }) => line.show(bytes, totalBytes, `${records} records verified`)).catch(() => {
        line.clear();
        throw new CliError(EXIT.failure, `${file} cannot be read`);
      });
      line.clear();
      if (flags.json === true) printJson(verdict);
      if (!verdict.ok) {
        throw new CliError(EXIT.failure, `${verdict.file ?? checkpointFile}, line ${verdict.line}: ${verdict.problem}: ${verdict.detail}`);
      }
      if (flags.json !== true) print(`${file} is whole: ${verdict.records} records${verdict.files > 1 ? ` in ${verdict.files} files` : ''}, head ${verdict.head ?? 'none'}`);
      if (verdict.begins_at > 1) say(`it begins with record ${verdict.begins_at}; for what came before it stands its tree, which a checkpoint vouches for`);
      if (verdict.checkpoint !== null) say(`signed up to record ${verdict.checkpoint.seq}, at ${verdict.checkpoint.at}`);
      else say(verifiers.length === 0 ? 'lines cut off at the end were not looked for: name whoever signs its checkpoints with --key' : `there is no checkpoint in ${checkpointFile}: lines cut off at the end cannot be told`);
      const { forged, gaps, resets } = verdict.notices;
      if (forged + gaps + resets > 0) tell(`its sealer noticed ${forged} forged events, ${gaps} gaps and ${resets} resets of the stream; look for audit.forged, audit.gap and audit.reset`);
    });

  addAuditSearchCommand(audit, connection);
  addStoryCommand(audit, connection);
  addAuditExportCommand(audit, program.version() ?? '');
  addAuditProofCommands(audit);
}
