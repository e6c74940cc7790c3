import type { Command } from 'commander';
import { createBrokerClient, type ConnectionFlags } from '../broker-client.ts';
import { examples } from '../examples.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { jsonOption } from '../output-flags.ts';
import { countdown, print, printJson, say, table } from '../output.ts';
import { progressLine } from '../progress-line.ts';

interface HoldAnswer {
  readonly why: string;
  readonly since: string;
  readonly until: string;
}

interface ReconciliationAnswer {
  readonly id: string;
  readonly state: 'requested' | 'done';
  readonly dry_run: boolean;
  readonly providers: readonly {
    readonly provider: string;
    readonly outcome: 'compared' | 'cannot_list' | 'failed';
    readonly live: number;
    readonly orphans: number;
    readonly revoked: number;
    readonly waiting: number;
    readonly missing: number;
    readonly undone: number;
    readonly differences: readonly { readonly kind: string; readonly lease_id: string; readonly why: string | null; readonly due_at: string | null; readonly outcome: string | null }[];
  }[];
}

/** What a loss is called, to people. */
const LOSSES: Readonly<Record<string, string>> = { wiped: 'records are gone', rolled_back: 'records are older than they were', replaced: 'it is another ledger' };
/** How long `reconcile` waits for a worker; each provider may take a minute. */
const PATIENCE_MS = 180_000;
const LOOK_EVERY_MS = 250;

/** Commands for a ledger that lost records: hold, hold release, reconcile. */
export function addHoldCommands(program: Command, connection: (command: Command) => Command): void {
  const hold = program.command('hold').description('whether nothing is granted because Redis lost records, as an operator');

  connection(hold.command('show', { isDefault: true }))
    .description('the hold in force, if there is one')
    .addOption(jsonOption())
    .addHelpText('before', examples('mayfly hold'))
    .action(async (flags: ConnectionFlags & { json?: boolean }) => {
      const client = createBrokerClient(flags, 'operator');
      const { body } = await client.call('GET', '/v1/hold');
      const current = body['hold'] as HoldAnswer | null;
      if (flags.json === true) printJson(body);
      else print(current === null ? 'nothing is held: credentials are granted' : wordsOf(current, client.nowMs()));
    });

  connection(hold.command('release'))
    .description('grant again, as an admin; what no record accounts for is revoked')
    .requiredOption('--reason <text>', 'for the record')
    .addOption(jsonOption())
    .addHelpText('before', examples('mayfly hold release --reason "restored from the backup of 04:00"'))
    .addHelpText('after', '\nLook first: `mayfly reconcile --dry-run` shows what would be revoked. Locks are gone as well: place them again.')
    .action(async (flags: ConnectionFlags & { reason: string; json?: boolean }) => {
      const { body } = await createBrokerClient(flags, 'admin').call('POST', '/v1/hold/release', { reason: flags.reason });
      if (flags.json === true) {
        printJson(body);
        return;
      }
      print('the hold is released: credentials are granted');
      say(`reconciliation ${(body['reconciliation'] as ReconciliationAnswer).id} revokes what no record accounts for`);
    });

  connection(program.command('reconcile'))
    .description('compare what is live at the targets with the records now, and revoke what no record accounts for')
    .option('--dry-run', 'only look')
    .addOption(jsonOption())
    .addHelpText('before', examples('mayfly reconcile --dry-run'))
    .action(async (flags: ConnectionFlags & { dryRun?: boolean; json?: boolean }) => {
      const client = createBrokerClient(flags, 'operator');
      const asked = (await client.call('POST', '/v1/reconciliations', { dry_run: flags.dryRun ?? false })).body['reconciliation'] as ReconciliationAnswer;
      const done = await follow(asked, client);
      if (flags.json === true) printJson({ reconciliation: done });
      else report(done);
      const failed = done.providers.filter(({ outcome, orphans, revoked }) => outcome === 'failed' || (!done.dry_run && revoked < orphans)).map(({ provider }) => provider);
      if (failed.length > 0) throw new CliError(EXIT.failure, `${failed.join(', ')}: not all was listed or revoked; it is tried again by itself`);
    });
}

const wordsOf = ({ why, since, until }: HoldAnswer, nowMs: number): string =>
  `nothing is granted: the ledger lost records at ${since} (${LOSSES[why] ?? why})\nit ends in ${countdown(until, nowMs)}, or with \`mayfly hold release\`; \`mayfly reconcile --dry-run\` shows what is live and in no record`;

async function follow(asked: ReconciliationAnswer, client: ReturnType<typeof createBrokerClient>): Promise<ReconciliationAnswer> {
  const startedMs = performance.now();
  const line = progressLine();
  let now = asked;
  while (now.state !== 'done') {
    if (performance.now() - startedMs > PATIENCE_MS) throw new CliError(EXIT.pending, `no worker has done it yet; GET /v1/reconciliations/${now.id} tells when one has`);
    line.show(0, 0, `comparing what is live at the targets with the records: ${Math.round((performance.now() - startedMs) / 1000)} s`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    now = (await client.call('GET', `/v1/reconciliations/${now.id}`)).body['reconciliation'] as ReconciliationAnswer;
  }
  line.clear();
  return now;
}

function report({ providers, dry_run: dryRun }: ReconciliationAnswer): void {
  const rows = providers.map((one) => (one.outcome === 'cannot_list' ? [one.provider, 'cannot list', '-', '-', '-', '-', '-', String(one.undone)] : [one.provider, one.outcome, String(one.live), String(one.orphans), String(one.revoked), String(one.waiting), String(one.missing), String(one.undone)]));
  print(table(['PROVIDER', 'OUTCOME', 'LIVE', 'ORPHANS', 'REVOKED', 'WAITING', 'MISSING', 'UNDONE'], rows, 'no providers'));
  const differences = providers.flatMap(({ provider, differences: all }) => all.map((one) => [one.lease_id, provider, one.kind, one.why ?? '-', one.due_at ?? '-', one.outcome ?? '-']));
  if (differences.length > 0) print(`\n${table(['LEASE', 'PROVIDER', 'FINDING', 'WHY', 'DUE AT', 'OUTCOME'], differences, '')}`);
  if (dryRun) say('nothing was changed');
}
