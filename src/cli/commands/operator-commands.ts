import { createInterface } from 'node:readline/promises';
import type { Command } from 'commander';
import { createBrokerClient, type ConnectionFlags } from '../broker-client.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { countdown, print, printJson, say, table } from '../output.ts';

interface LeaseAnswer {
  readonly id: string;
  readonly task_id: string;
  readonly agent: string;
  readonly credential: string;
  readonly provider: string;
  readonly state: string;
  readonly revocability: string;
  readonly expires_at: string;
  readonly attempts: number;
  readonly last_failure: string | null;
}

interface RevocationAnswer {
  readonly id: string | null;
  readonly state: string;
  readonly progress: { readonly total: number; readonly ended: number; readonly tasks: number };
  readonly results: readonly { readonly lease_id: string; readonly credential: string; readonly agent: string; readonly state: string; readonly may_live_until: string | null }[];
}

/** Rows of a dry run that are shown before the question. */
const PREVIEW_ROWS = 10;
/** How long `revoke` follows the leases it ended. */
const FOLLOW_MS = 10_000;

/** Commands of an operator: leases, revoke. */
export function addOperatorCommands(program: Command, connection: (command: Command) => Command): void {
  const leases = program.command('leases').description('look at leases, as an operator');
  connection(leases.command('ls'))
    .description('list leases; with a live --state, soonest due first')
    .option('--state <state>')
    .option('--provider <name>')
    .option('--due-before <instant>', 'RFC 3339')
    .option('--limit <n>', 'leases at most', '50')
    .option('--json')
    .action(async (flags: ConnectionFlags & { state?: string; provider?: string; dueBefore?: string; limit: string; json?: boolean }) => {
      const query = new URLSearchParams({ limit: flags.limit });
      if (flags.state !== undefined) query.set('state', flags.state);
      if (flags.provider !== undefined) query.set('provider', flags.provider);
      if (flags.dueBefore !== undefined) query.set('due_before', flags.dueBefore);
      const { body } = await createBrokerClient(flags, 'operator').call('GET', `/v1/leases?${query.toString()}`);
      if (flags.json === true) {
        printJson(body);
        return;
      }
      const items = body['items'] as LeaseAnswer[];
      print(
        table(
          ['LEASE', 'STATE', 'DUE', 'CREDENTIAL', 'PROVIDER', 'AGENT', 'TRIES'],
          items.map((lease) => [lease.id, lease.state, countdown(lease.expires_at, Date.now()), lease.credential, lease.provider, lease.agent, String(lease.attempts)]),
          'no leases',
        ),
      );
    });
  connection(leases.command('get'))
    .description('one lease, as JSON')
    .argument('<lease>')
    .option('--json')
    .action(async (lease: string, flags: ConnectionFlags) => {
      printJson((await createBrokerClient(flags, 'operator').call('GET', `/v1/leases/${encodeURIComponent(lease)}`)).body);
    });
  connection(leases.command('retry'))
    .description('try a stuck revocation again now')
    .argument('<lease>')
    .option('--json')
    .action(async (lease: string, flags: ConnectionFlags) => {
      printJson((await createBrokerClient(flags, 'operator').call('POST', `/v1/leases/${encodeURIComponent(lease)}/retry`, {})).body);
    });

  connection(leases.command('acknowledge'))
    .description('say that a stuck revocation was seen, and why it stands; it is tried as before')
    .argument('<lease>')
    .requiredOption('--reason <text>', 'for the record')
    .option('--json')
    .action(async (lease: string, flags: ConnectionFlags & { reason: string }) => {
      printJson((await createBrokerClient(flags, 'operator').call('POST', `/v1/leases/${encodeURIComponent(lease)}/acknowledge`, { reason: flags.reason })).body);
    });

  connection(program.command('revoke'))
    .description('end credentials on demand, as an operator')
    .option('--lease <id>')
    .option('--task <id>')
    .option('--agent <subject>')
    .option('--credential <name>')
    .requiredOption('--reason <text>', 'for the record')
    .option('--dry-run', 'only show what would end')
    .option('--yes', 'do not ask')
    .option('--json')
    .addHelpText('before', 'Example:\n  mayfly revoke --agent agent:refunds --reason "token seen in a log" --dry-run\n')
    .action(async (flags: ConnectionFlags & { lease?: string; task?: string; agent?: string; credential?: string; reason: string; dryRun?: boolean; yes?: boolean; json?: boolean }) => {
      const { lease, task, agent, credential } = flags;
      const selector = Object.fromEntries(Object.entries({ lease, task, agent, credential }).filter((entry) => entry[1] !== undefined));
      if (Object.keys(selector).length === 0) throw new CliError(EXIT.usage, 'say what to revoke: --lease, --task, --agent or --credential');
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
        if (!(await confirmed())) throw new CliError(EXIT.failure, 'nothing was revoked');
      }
      const ended = await follow(await ask(false), client);
      report(ended, flags.json === true);
      const stuck = ended.results.filter(({ state }) => state === 'stuck').length;
      if (stuck > 0) throw new CliError(EXIT.failure, `${stuck} cannot be revoked now; they are tried again, and \`mayfly leases get\` says why`);
      if (ended.state === 'running') throw new CliError(EXIT.pending, 'some are still ending; each may live until the time shown');
    });
}

/** Follows a revocation until all its leases have ended, for a while. */
async function follow(started: RevocationAnswer, client: ReturnType<typeof createBrokerClient>): Promise<RevocationAnswer> {
  const until = performance.now() + FOLLOW_MS;
  let now = started;
  while (now.state === 'running' && performance.now() < until) {
    await new Promise((resolve) => setTimeout(resolve, 200));
    now = (await client.call('GET', `/v1/revocations/${now.id ?? ''}`)).body['revocation'] as RevocationAnswer;
  }
  return now;
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

function rows({ results }: RevocationAnswer, limit: number): string {
  const shown = results.slice(0, limit).map((row) => [row.lease_id, row.state, row.credential, row.agent, row.may_live_until ?? '-']);
  const more = results.length > shown.length ? [`and ${results.length - shown.length} more`] : [];
  return [table(['LEASE', 'STATE', 'CREDENTIAL', 'AGENT', 'MAY LIVE UNTIL'], shown, 'no live lease matches'), ...more].join('\n');
}

const summary = ({ state, progress }: RevocationAnswer): string =>
  state === 'dry_run' ? `${progress.total} leases and ${progress.tasks} tasks would end` : `${progress.ended} of ${progress.total} leases have ended`;

async function confirmed(): Promise<boolean> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await terminal.question('End these? Type yes: ');
  terminal.close();
  return answer.trim() === 'yes';
}
