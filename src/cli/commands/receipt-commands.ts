import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import type { Receipt } from '../../revocation/receipt.ts';
import { createBrokerClient, type ConnectionFlags } from '../broker-client.ts';
import { examples } from '../examples.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { becauseOf } from '../lease-output.ts';
import { jsonOption } from '../output-flags.ts';
import { print, printable, printJson } from '../output.ts';

/** `mayfly receipts`: proof of what became of a credential. Verifying needs no broker. */
export function addReceiptCommands(program: Command, connection: (command: Command) => Command): void {
  const receipts = program.command('receipts').description('proof of what became of a credential');

  connection(receipts.command('get'))
    .description('the receipt of an ended lease, as an operator')
    .argument('<lease>')
    .option('--json', 'receipt and signature, to be kept')
    .addHelpText('before', examples('mayfly receipts get lse_... --json > receipt.json'))
    .action(async (lease: string, flags: ConnectionFlags & { json?: boolean }) => {
      const { body } = await createBrokerClient(flags, 'operator').call('GET', `/v1/leases/${encodeURIComponent(lease)}/receipt`);
      if (flags.json === true) printJson(body);
      else print(describeReceipt(body['receipt'] as Receipt));
    });

  connection(receipts.command('keys'))
    .description('the keys that sign receipts, as a JWK Set')
    .addOption(jsonOption())
    .addHelpText('before', examples('mayfly receipts keys > receipt-keys.json'))
    .action(async (flags: ConnectionFlags) => {
      printJson((await createBrokerClient(flags, 'operator').call('GET', '/v1/receipts/keys')).body);
    });

  receipts
    .command('verify')
    .description('whether a receipt was signed by one of these keys, and what it says')
    .argument('<file>', 'what `receipts get --json` printed, or the JWS alone')
    .requiredOption('--keys <file>', 'a JWK Set, as `receipts keys` printed it')
    .addOption(jsonOption())
    .addHelpText('before', examples('mayfly receipts verify receipt.json --keys receipt-keys.json'))
    .action(async (file: string, flags: { keys: string; json?: boolean }) => {
      const { openReceipt } = await import('../../revocation/receipt.ts');
      const { verifyingKeyOf } = await import('../../keys/signing-keys.ts');
      const { keys } = parsed(flags.keys, await textOf(flags.keys)) as { keys?: Record<string, unknown>[] };
      if (!Array.isArray(keys)) throw new CliError(EXIT.usage, `${flags.keys} is not a JWK Set`);
      const text = (await textOf(file)).trim();
      const { jws } = text.startsWith('{') ? (parsed(file, text) as { jws?: unknown }) : { jws: text };
      const receipt = typeof jws === 'string' ? openReceipt(jws, keys.map(verifyingKeyOf)) : undefined;
      if (receipt === undefined) throw new CliError(EXIT.failure, `${file}: not signed by any of these keys`);
      if (flags.json === true) printJson({ receipt });
      else print(`genuine: ${receipt.lease_id} ${receipt.outcome}\n${describeReceipt(receipt)}`);
    });
}

async function textOf(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch {
    throw new CliError(EXIT.usage, `${file} cannot be read`);
  }
}

function parsed(file: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new CliError(EXIT.usage, `${file} is not JSON`);
  }
}

function describeReceipt(receipt: Receipt): string {
  const lines: readonly (readonly [string, string | null])[] = [
    ['credential', `${receipt.credential} (${receipt.kind}, ${receipt.revocability})`],
    ['of', `${receipt.agent}, for ${receipt.purpose}, task ${receipt.task_id}`],
    ['due', receipt.due_at],
    ['end asked for', receipt.requested_at],
    ['applied', receipt.applied_at],
    ['verified', receipt.verified_at],
    ['effective by', receipt.effective_by],
    ['ended', receipt.ended_at],
    ['exposure', receipt.exposure_seconds === null ? 'unbounded' : `${receipt.exposure_seconds} s at most`],
  ];
  const shown = lines.flatMap(([name, value]) => (value === null ? [] : [`  ${name.padEnd(14)} ${printable(value)}`]));
  return [`${receipt.lease_id}  ${receipt.outcome}${becauseOf(receipt.reason)}`, ...shown, `  ${receipt.statement}`].join('\n');
}
