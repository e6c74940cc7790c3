import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import type { NoteVerifier } from '../../audit/signed-note.ts';
import { auditFileOf, auditFileOptions, type AuditFileFlags } from '../audit-file-flag.ts';
import { examples } from '../examples.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { jsonOption } from '../output-flags.ts';
import { print, printJson, say } from '../output.ts';
import { repeatable } from '../repeatable.ts';

interface VerifyProofFlags {
  readonly key: readonly string[];
  readonly json?: boolean;
}

/** `mayfly audit prove`, `consistency` and `verify-proof`: what an auditor verifies without Mayfly. */
export function addAuditProofCommands(audit: Command): void {
  const prove = audit
    .command('prove')
    .description('prove that records are in the signed log: with a checkpoint and a path of hashes (RFC 6962), for whoever has neither the log nor Mayfly')
    .argument('<record...>', 'by number (`seq`) or by event id');
  for (const option of auditFileOptions()) prove.addOption(option);
  prove
    .addHelpText('before', examples('mayfly audit prove 4711 --audit /var/log/mayfly/audit.jsonl > proof.json'))
    .action(async (references: readonly string[], flags: AuditFileFlags) => {
      const path = await auditFileOf(flags);
      const { findRecord, proveRecords } = await import('../../audit/prove-records.ts');
      const records = await proving(
        Promise.all(
          references.map(async (reference) => {
            const record = await findRecord(path, reference);
            if (record === undefined) throw new CliError(EXIT.notFound, `record ${reference} is not in ${path}`);
            return record;
          }),
        ),
      );
      printJson(await proving(proveRecords(path, records)));
    });

  const consistency = audit
    .command('consistency')
    .description('prove that a newer checkpoint continues an older one: that nothing of before was changed or left out')
    .argument('<old checkpoint>', 'a file with the signed note')
    .argument('[new checkpoint]', 'the newest of the log when left out');
  for (const option of auditFileOptions()) consistency.addOption(option);
  consistency
    .addHelpText('before', examples('mayfly audit consistency kept-in-january.note --audit /var/log/mayfly/audit.jsonl > proof.json'))
    .action(async (older: string, newer: string | undefined, flags: AuditFileFlags) => {
      const path = await auditFileOf(flags);
      const { proveConsistency } = await import('../../audit/prove-records.ts');
      printJson(await proving(proveConsistency(path, await noteIn(older), newer === undefined ? undefined : await noteIn(newer))));
    });

  audit
    .command('verify-proof')
    .description('check a proof that `audit prove`, `audit consistency` or `audit export --proof` made; needs neither a log nor a broker')
    .argument('<file>')
    .option('--key <verifier key>', 'required: whoever may sign the checkpoint, as `mayfly keys ls` prints it; repeat for more', repeatable, [])
    .addOption(jsonOption())
    .addHelpText('before', examples('mayfly audit verify-proof proof.json --key prod/mayfly-audit+1b2f9c0a+AQ...'))
    .action(async (file: string, flags: VerifyProofFlags) => {
      const { ProofRefused, verifyBundle } = await import('../../audit/proof-bundle.ts');
      if (flags.key.length === 0) throw new CliError(EXIT.usage, 'say with --key who may sign the checkpoint: the verifier key that `mayfly keys ls` prints');
      const verifiers = await verifiersOf(flags.key);
      try {
        const proven = verifyBundle(jsonIn(file, await textIn(file)), verifiers);
        if (flags.json === true) printJson(proven);
        else if (proven.kind === 'consistency') print(`${proven.new.origin}: the log of ${proven.new.size} records continues that of ${proven.old.size}, both signed`);
        else {
          for (const { seq, event } of proven.records) print(`record ${seq}: ${event.type}${'at' in event ? ` at ${event.at}` : ''}${'task' in event && event.task !== null ? ` of ${event.task}` : ''}`);
          say(`in the signed log ${proven.checkpoint.origin} of ${proven.checkpoint.size} records`);
        }
      } catch (error) {
        if (error instanceof ProofRefused) throw new CliError(EXIT.failure, `${file} proves nothing: ${error.message}`);
        throw error;
      }
    });
}

/** Parses `--key`s. Throws `CliError` that names the wrong one. */
export async function verifiersOf(keys: readonly string[]): Promise<NoteVerifier[]> {
  const { parseVerifierKey } = await import('../../audit/signed-note.ts');
  return keys.map((key) => {
    try {
      return parseVerifierKey(key);
    } catch (error) {
      throw new CliError(EXIT.usage, `--key ${key}: ${error instanceof Error ? error.message : ''}`);
    }
  });
}

/** What stands in the way of a proof is for the caller to read. */
export async function proving<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof CliError || !(error instanceof Error)) throw error;
    throw new CliError(EXIT.failure, error.message);
  }
}

const textIn = (file: string): Promise<string> =>
  readFile(file, 'utf8').catch(() => {
    throw new CliError(EXIT.usage, `${file} cannot be read`);
  });

/** A note as it stands, or the newest line of a copy of `audit.jsonl.checkpoints`. */
async function noteIn(file: string): Promise<string> {
  const text = await textIn(file);
  const last = text.trimEnd().split('\n').at(-1) ?? '';
  if (!last.startsWith('{')) return text;
  const kept = jsonIn(file, last);
  return typeof kept === 'object' && kept !== null && 'note' in kept && typeof kept.note === 'string' ? kept.note : text;
}

function jsonIn(file: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new CliError(EXIT.failure, `${file} is no JSON`);
  }
}
