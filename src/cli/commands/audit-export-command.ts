import { createWriteStream } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import { Option, type Command } from 'commander';
import type { ExportFormat } from '../../audit/export/export-records.ts';
import type { StatedRecord } from '../../audit/read-range.ts';
import { systemClock } from '../../core/clock.ts';
import { auditFileOf, auditFileOptions, type AuditFileFlags } from '../audit-file-flag.ts';
import { examples } from '../examples.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { say } from '../output.ts';
import { progressLine } from '../progress-line.ts';
import { auditFilterOf, auditFilterOptions, type AuditFilterFlags } from './audit-search-command.ts';
import { proving } from './audit-proof-commands.ts';

interface ExportFlags extends AuditFileFlags, AuditFilterFlags {
  readonly format: ExportFormat;
  readonly out?: string;
  readonly proof?: string;
  readonly deployment?: string;
}

/** A proof is made in memory, and is for a few records that somebody asks about. */
const MOST_PROVEN = 10_000;

/** `mayfly audit export`: what fits, in the words of other tools, with proofs where asked for. */
export function addAuditExportCommand(audit: Command, version: string): void {
  const exporting = audit.command('export').description('write what fits to standard output or a file, oldest first, one JSON object a line, and prove it');
  exporting.addOption(new Option('--format <format>', 'jsonl: as it stands in the log; ocsf: events of OCSF 1.x; cloudevents: CloudEvents 1.0').choices(['jsonl', 'ocsf', 'cloudevents']).default('jsonl'));
  for (const option of [...auditFilterOptions(), ...auditFileOptions()]) exporting.addOption(option);
  exporting
    .option('--out <file>', 'made with mode 0600; it must not be there yet')
    .option('--proof <file>', 'also write a proof that the records are in the signed log (mayfly audit verify-proof, examples/verify-proof)')
    .option('--deployment <id>', 'names the source in ocsf and cloudevents; as the checkpoints beside the log say when absent')
    .addHelpText('before', examples("mayfly audit export --agent agent:refunds --since 'last tuesday' --format ocsf --audit /var/log/mayfly/audit.jsonl", 'mayfly audit export --task tsk_5c1f0a9be0f2417d8d1f6f2a3f1c9e7b --out task.jsonl --proof proof.json --audit /var/log/mayfly/audit.jsonl'))
    .action(async (flags: ExportFlags) => {
      const path = await auditFileOf(flags);
      const filter = auditFilterOf(flags, systemClock.now());
      const { recordsOf } = await import('../../audit/search-audit.ts');
      const { exportLine } = await import('../../audit/export/export-records.ts');
      const about = { deploymentId: await deploymentOf(path, flags), version };
      const out = flags.out === undefined ? process.stdout : await opened(flags.out);
      const kept: StatedRecord[] = [];
      let count = 0;
      // On a terminal that shows the records themselves it would stand between them.
      const line = out === process.stdout && process.stdout.isTTY ? undefined : progressLine();
      const looked = readingWords((words) => line?.show(0, 0, `${words}; ${count} records fit`));
      for await (const record of recordsOf(path, filter, looked)) {
        count += 1;
        if (flags.proof !== undefined && kept.push(record) > MOST_PROVEN) throw new CliError(EXIT.usage, `--proof is for ${MOST_PROVEN} records at most: choose fewer`);
        if (!out.write(`${exportLine(record, flags.format, about)}\n`)) await once(out, 'drain');
      }
      line?.clear();
      if (out !== process.stdout) await new Promise<void>((resolve) => out.end(resolve));
      say(`${count} records`);
      if (flags.proof !== undefined && kept.length > 0) {
        const { proveRecords } = await import('../../audit/prove-records.ts');
        await writeFile(flags.proof, `${JSON.stringify(await proving(proveRecords(path, kept)), null, 2)}\n`, { mode: 0o600 });
        say(`proven by ${flags.proof}`);
      }
    });
}

const MIB = 1_048_576;

/** Says how much of the log was read, at its first line and about each MiB. */
function readingWords(tell: (words: string) => void): (line: string) => void {
  let [read, next] = [0, 0];
  return ({ length }) => {
    read += length;
    if (read < next) return;
    next = read + MIB;
    tell(`${Math.floor(read / MIB)} MiB of the log read`);
  };
}

async function opened(path: string): Promise<NodeJS.WritableStream> {
  const stream = createWriteStream(path, { flags: 'wx', mode: 0o600 });
  await once(stream, 'open').catch(() => {
    throw new CliError(EXIT.usage, `${path} cannot be made: it is there already, or its folder is not`);
  });
  return stream;
}

/** The deployment that the log's own checkpoints name. */
async function deploymentOf(path: string, { deployment, format }: ExportFlags): Promise<string> {
  if (deployment !== undefined || format === 'jsonl') return deployment ?? '';
  const { logFilesAt } = await import('../../audit/log-files.ts');
  const { checkpointsNewestFirst } = await import('../../audit/checkpoint-file.ts');
  for await (const { note } of checkpointsNewestFirst((await logFilesAt(path)).checkpoints)) return note.split('\n')[0]?.replace(/\/mayfly-audit$/, '') ?? '';
  throw new CliError(EXIT.usage, 'no checkpoint beside the log names its deployment: say which it is with --deployment');
}
