import type { Command } from 'commander';
import { createBrokerClient, type ConnectionFlags } from '../broker-client.ts';
import { confirmed } from '../confirmed.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { print, printJson, say, table } from '../output.ts';
import { REVOCATION_WORDS, selectorOf, withSelector, type SelectorFlags } from '../selector-flags.ts';

interface RevocationAnswer {
  readonly id: string | null;
  readonly state: string;
  readonly progress: { readonly total: number; readonly ended: number; readonly stuck: number; readonly not_asked: number; readonly tasks: number };
  readonly results: readonly { readonly lease_id: string; readonly credential: string; readonly agent: string; readonly state: string; readonly may_live_until: string | null }[];
}

/** Rows of a dry run that are shown before the question. */
const PREVIEW_ROWS = 10;
/** How long `revoke` follows a revocation in which nothing happens any more. */
const PATIENCE_MS = 10_000;
const LOOK_EVERY_MS = 200;

/** Commands that end credentials on demand: revoke, and revocation get and cancel. */
export function addRevocationCommands(program: Command, connection: (command: Command) => Command): void {
  withSelector(connection(program.command('revoke')), REVOCATION_WORDS)
    .description('end credentials on demand, as an operator: what all the given words match')
    .requiredOption('--reason <text>', 'for the record')
    .option('--dry-run', 'only show what would end')
    .option('--yes', 'do not ask')
    .option('--json')
    .addHelpText('before', 'Example:\n  mayfly revoke --agent agent:refunds --reason "token seen in a log" --dry-run\n')
    .action(async (flags: ConnectionFlags & SelectorFlags & { reason: string; dryRun?: boolean; yes?: boolean; json?: boolean }) => {
      const selector = selectorOf(flags, REVOCATION_WORDS, 'revoke');
      const client = createBrokerClient(flags, 'operator');
      const ask = async (dryRun: boolean): Promise<RevocationAnswer> =>
        (await client.call('POST', '/v1/revocations', { selector, reason: flags.reason, dry_run: dryRun })).body['revocation'] as RevocationAnswer;

      if (flags.dryRun === true) {
        report(await ask(true), flags.json === true);
        return;
      }
      if (flags.yes !== true) {
        if (!process.stdin.isTTY) throw new CliError(EXIT.usage, 'nobody is there to confirm: add --yes, or look first with --dry-run');
        say(outline(await ask(true)));
        if (!(await confirmed('End these?'))) throw new CliError(EXIT.failure, 'nothing was revoked');
      }
      const ended = await follow(await ask(false), client);
      report(ended, flags.json === true);
      const { stuck } = ended.progress;
      if (stuck > 0) throw new CliError(EXIT.failure, `${stuck} cannot be revoked now; they are tried again, and \`mayfly leases get\` says why`);
      if (ended.state === 'running') throw new CliError(EXIT.pending, `some are still ending; each may live until the time shown, and \`mayfly revocation get ${ended.id ?? ''}\` says how far it is`);
    });

  const revocation = program.command('revocation').description('look after a revocation, as an operator');
  const call = async (flags: ConnectionFlags & { json?: boolean }, method: 'GET' | 'POST', path: string): Promise<void> => {
    const { body } = await createBrokerClient(flags, 'operator').call(method, `/v1/revocations/${path}`, method === 'POST' ? {} : undefined);
    report(body['revocation'] as RevocationAnswer, flags.json === true);
  };
  connection(revocation.command('get'))
    .description('how far it is, and what became of its leases')
    .argument('<revocation>')
    .option('--json')
    .action((id: string, flags: ConnectionFlags & { json?: boolean }) => call(flags, 'GET', encodeURIComponent(id)));
  connection(revocation.command('cancel'))
    .description('ask for no further end; what was asked for goes on')
    .argument('<revocation>')
    .option('--json')
    .action((id: string, flags: ConnectionFlags & { json?: boolean }) => call(flags, 'POST', `${encodeURIComponent(id)}/cancel`));
}

/** Follows a revocation until it is done, or nothing happens for a while; on a terminal, one line says how far it is. */
async function follow(started: RevocationAnswer, client: ReturnType<typeof createBrokerClient>): Promise<RevocationAnswer> {
  const line = progressLine();
  let now = started;
  let movedMs = performance.now();
  while (now.state === 'running' && performance.now() - movedMs < PATIENCE_MS) {
    line.show(`${summary(now)}; it goes on by itself if you leave`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    const { progress: before } = now;
    now = (await client.call('GET', `/v1/revocations/${now.id ?? ''}`)).body['revocation'] as RevocationAnswer;
    if (now.progress.ended !== before.ended || now.progress.not_asked !== before.not_asked || now.progress.total !== before.total) movedMs = performance.now();
  }
  line.clear();
  return now;
}

/** A line of a terminal that is written over; nothing where nobody looks. */
function progressLine(): { show(text: string): void; clear(): void } {
  const write = (text: string): void => {
    if (process.stderr.isTTY) process.stderr.write(`\r\u001b[2K${text}`);
  };
  return { show: write, clear: () => write('') };
}

function report(revocation: RevocationAnswer, json: boolean): void {
  if (json) {
    printJson({ revocation });
    return;
  }
  print(rows(revocation, Infinity));
  say(summary(revocation));
}

/** What would end, as it is shown before the question. */
const outline = (revocation: RevocationAnswer): string => `${rows(revocation, PREVIEW_ROWS)}\n${summary(revocation)}`;

function rows({ results, progress }: RevocationAnswer, limit: number): string {
  const shown = results.slice(0, limit).map((row) => [row.lease_id, row.state, row.credential, row.agent, row.may_live_until ?? '-']);
  const more = progress.total > shown.length ? [`and ${progress.total - shown.length} more`] : [];
  return [table(['LEASE', 'STATE', 'CREDENTIAL', 'AGENT', 'MAY LIVE UNTIL'], shown, 'no live lease matches'), ...more].join('\n');
}

function summary({ state, progress }: RevocationAnswer): string {
  if (state === 'dry_run') return `${progress.total} leases and ${progress.tasks} tasks would end`;
  const ended = `${progress.ended} of ${progress.total} leases have ended`;
  return state === 'cancelled' ? `${ended}; cancelled before ${progress.not_asked} were asked for` : ended;
}
