import { Option, type Command } from 'commander';
import type { AuditFilter, AuditPage } from '../../audit/search-audit.ts';
import type { EpochMs } from '../../core/time.ts';
import { createBrokerClient, type ConnectionFlags } from '../broker-client.ts';
import { examples } from '../examples.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { inLocalTime, instantFlag } from '../instant-flag.ts';
import { jsonOption } from '../output-flags.ts';
import { print, printJson, say, table } from '../output.ts';

/** What `audit search` and `audit export` take to choose records. */
export interface AuditFilterFlags {
  readonly task?: string;
  readonly tree?: string;
  readonly lease?: string;
  readonly agent?: string;
  readonly owner?: string;
  readonly purpose?: string;
  readonly type?: string;
  readonly decision?: string;
  readonly traceId?: string;
  readonly text?: string;
  readonly since?: string;
  readonly until?: string;
}

interface SearchFlags extends ConnectionFlags, AuditFilterFlags {
  readonly audit?: string;
  readonly oldest?: boolean;
  readonly limit: string;
  readonly json?: boolean;
}

interface AuditItem {
  readonly seq: number;
  readonly sealed_at: string;
  readonly event: { readonly type: string; readonly at?: string; readonly task?: string | null; readonly by?: { readonly subject: string }; readonly facts?: { readonly purpose?: string } };
}

/** The options that choose records. */
export const auditFilterOptions = (): Option[] => [
  new Option('--task <id>', 'of this task'),
  new Option('--tree <id>', 'a root task, and all that was handed on from it'),
  new Option('--lease <id>', 'of this lease'),
  new Option('--agent <subject>', 'whose authority was at stake, or who did it'),
  new Option('--owner <name>', 'who answers for the agent'),
  new Option('--purpose <code>', 'declared for it'),
  new Option('--type <type>', 'an event type such as lease.revoked, or all of `lease`'),
  new Option('--decision <id or result>', 'dec_..., permit, deny or approval_required'),
  new Option('--trace-id <id>', 'W3C trace id'),
  new Option('--text <text>', 'anywhere in the record'),
  new Option('--since <when>', "RFC 3339, 7d, 2026-01-06, yesterday, 'last tuesday'"),
  new Option('--until <when>', 'the same; a day is included'),
];

/** The filter that the options name, with its times said. Throws `CliError`. */
export function auditFilterOf(flags: AuditFilterFlags, nowMs: number): AuditFilter {
  const { task, tree, lease, agent, owner, purpose, type, decision, traceId, text } = flags;
  const named = { task, tree, lease, agent, owner, purpose, type, decision, traceId, text };
  const { sinceMs, untilMs } = timeOf(flags, nowMs);
  const filter = Object.fromEntries(Object.entries({ ...named, sinceMs, untilMs }).filter(([, value]) => value !== undefined)) as AuditFilter;
  if (sinceMs !== undefined && untilMs !== undefined && sinceMs >= untilMs) throw new CliError(EXIT.usage, '--since must be before --until');
  return filter;
}

/** The times of `--since` and `--until`; says in this machine's time what they are, where they were given. */
export function timeOf({ since, until }: Pick<AuditFilterFlags, 'since' | 'until'>, nowMs: number): { readonly sinceMs: EpochMs | undefined; readonly untilMs: EpochMs | undefined } {
  const sinceMs = since === undefined ? undefined : instantFlag('--since', since, nowMs);
  const untilMs = until === undefined ? undefined : instantFlag('--until', until, nowMs);
  if (sinceMs !== undefined || untilMs !== undefined) say(`from ${sinceMs === undefined ? 'the beginning' : inLocalTime(sinceMs)} until ${untilMs === undefined ? 'now' : inLocalTime(untilMs)}`);
  return { sinceMs, untilMs };
}

/** `mayfly audit search`: what is on the record, by what a broker has or in files. */
export function addAuditSearchCommand(audit: Command, connection: (command: Command) => Command): void {
  const search = connection(audit.command('search')).description('what is on the record, newest first');
  for (const option of auditFilterOptions()) search.addOption(option);
  search
    .option('--audit <file or folder>', 'look in these files, rotated ones included, and ask no broker')
    .option('--oldest', 'oldest first')
    .addOption(new Option('--limit <n>', 'records at most').default('50'))
    .addOption(jsonOption())
    .addHelpText('before', examples("mayfly audit search --agent agent:refunds --type lease --since 'last tuesday'", 'mayfly audit search --decision deny --since 7d --audit /var/log/mayfly'))
    .action(async (flags: SearchFlags) => {
      const limit = Number(flags.limit);
      if (!/^[1-9]\d{0,6}$/.test(flags.limit)) throw new CliError(EXIT.usage, `--limit ${flags.limit}: give how many records at most`);
      const filter = auditFilterOf(flags, Date.now());
      const { items, more, body } = flags.audit === undefined ? await asked(flags, filter, limit) : await found(flags.audit, filter, { newestFirst: flags.oldest !== true, limit });
      if (flags.json === true) {
        printJson(body);
        return;
      }
      const rows = items.map(({ seq, sealed_at: sealedAt, event }) => [
        String(seq), event.at ?? sealedAt, event.type, event.task ?? '-', event.by?.subject ?? '-', event.facts?.purpose ?? '-',
      ]);
      print(table(['SEQ', 'AT', 'EVENT', 'TASK', 'BY', 'PURPOSE'], rows, 'nothing on the record fits'));
      if (more) say('there is more: raise --limit, or narrow the time');
    });
}

interface Found {
  readonly items: readonly AuditItem[];
  readonly more: boolean;
  readonly body: object;
}

async function asked(flags: SearchFlags, { sinceMs, untilMs, traceId, ...words }: AuditFilter, limit: number): Promise<Found> {
  const instantOf = (ms: number | undefined): string | undefined => (ms === undefined ? undefined : new Date(ms).toISOString());
  const given = Object.entries({ ...words, trace_id: traceId, since: instantOf(sinceMs), until: instantOf(untilMs), limit: String(limit), order: flags.oldest === true ? 'oldest' : undefined });
  const query = new URLSearchParams(given.flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as [string, string]])));
  const { body } = await createBrokerClient(flags, 'operator').call('GET', `/v1/audit?${query.toString()}`);
  return { items: body['items'] as AuditItem[], more: body['next_cursor'] !== null, body };
}

async function found(path: string, filter: AuditFilter, options: { readonly newestFirst: boolean; readonly limit: number }): Promise<Found> {
  const { searchAudit } = await import('../../audit/search-audit.ts');
  const { items, nextSeq }: AuditPage = await searchAudit(path, filter, options).catch((cause: unknown) => {
    throw new CliError(EXIT.failure, `${path} cannot be read: ${cause instanceof Error ? cause.message : ''}`);
  });
  return { items, more: nextSeq !== null, body: { items, next_cursor: nextSeq === null ? null : String(nextSeq) } };
}
