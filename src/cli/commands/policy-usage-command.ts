import { Option, type Command } from 'commander';
import { systemClock } from '../../core/clock.ts';
import type { CredentialUsage, Proposal, UsageGroup } from '../../policy/usage/usage-report.ts';
import { auditFileOf, auditFileOptions, type AuditFileFlags } from '../audit-file-flag.ts';
import { examples } from '../examples.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { instantFlag } from '../instant-flag.ts';
import { jsonOption } from '../output-flags.ts';
import { print, printJson, say, table } from '../output.ts';
import { countFlag } from '../whole-number.ts';

interface UsageFlags extends AuditFileFlags {
  readonly since: string;
  readonly until?: string;
  readonly postgresLog: readonly string[];
  readonly cloudtrail: readonly string[];
  readonly minLeases: string;
  readonly json?: boolean;
}

/** What the report cannot know, whatever it is given. */
const LIMITS = [
  'a function or a view can hide what a SELECT writes or reads; verbs and tables are told by their words',
  'data classes cannot be told from tables or events, and actions other than read and write from nothing here',
  'use of tokens and static secrets is seen only where the agent reports it, which is its own word',
  'CloudTrail does not log reading and writing of objects unless data events are switched on',
];

/** `mayfly policy usage`: what was granted, and what of it was used. */
export function addPolicyUsageCommand(policy: Command): void {
  const usage = policy
    .command('usage')
    .description('compare what was granted with what was used, and propose narrower declarations; needs no broker')
    .addOption(new Option('--since <when>', 'RFC 3339, or how long ago: 30m, 12h, 7d').default('7d'))
    .option('--until <when>', 'the same')
    .option('--postgres-log <files...>', 'logs of PostgreSQL (stderr, csvlog or jsonlog) that hold statements', [])
    .option('--cloudtrail <files...>', 'files of CloudTrail, also gzipped', [])
    .addOption(new Option('--min-leases <n>', 'propose nothing on fewer').default('5'))
    .addOption(jsonOption())
    .addHelpText('before', examples('mayfly policy usage --since 7d --audit audit.jsonl --postgres-log /var/log/postgresql/*.csv'));
  for (const option of auditFileOptions()) usage.addOption(option);
  usage.action(async (flags: UsageFlags) => {
    const { readGrantedLeases } = await import('../../policy/usage/granted-leases.ts');
    const { readPostgresLogs } = await import('../../policy/usage/postgres-log.ts');
    const { readCloudTrail } = await import('../../policy/usage/cloudtrail.ts');
    const { reportUsage } = await import('../../policy/usage/usage-report.ts');
    const minLeases = countFlag('--min-leases', flags.minLeases);
    const nowMs = systemClock.now();
    const time = { sinceMs: instantFlag('--since', flags.since, nowMs), untilMs: flags.until === undefined ? nowMs : instantFlag('--until', flags.until, nowMs) };
    const file = await auditFileOf(flags);
    const [granted, postgres, cloudTrail] = await Promise.all([
      readGrantedLeases(file, time),
      flags.postgresLog.length === 0 ? null : readPostgresLogs(flags.postgresLog),
      flags.cloudtrail.length === 0 ? null : readCloudTrail(flags.cloudtrail),
    ]).catch((error: unknown) => {
      throw new CliError(EXIT.failure, `a file cannot be read: ${error instanceof Error ? error.message : ''}`);
    });
    const groups = reportUsage(granted.leases, { toolCalls: granted.toolCalls, postgres, cloudTrail }, minLeases);
    const malformed = [...(postgres?.malformed ?? []), ...(cloudTrail?.malformed ?? [])];
    if (flags.json === true) printJson({ leases: granted.leases.length, chain: granted.chain, tool_calls_without_lease: granted.toolCallsWithoutLease, groups, malformed, cannot_be_known: LIMITS });
    else for (const group of groups) tellGroup(group);
    if (!granted.chain.ok) say(`the chain of ${granted.chain.file} is broken at line ${granted.chain.line}: ${granted.chain.detail}`);
    if (postgres?.span === null) say('the PostgreSQL logs hold no statement that can be placed in time: is log_statement at all, and log_timezone at UTC?');
    if (flags.json === true) return;
    for (const { file: where, line, detail } of malformed.slice(0, 10)) say(`${where}, line ${line}: ${detail}`);
    if (malformed.length > 10) say(`${malformed.length} lines in all could not be read`);
    if (granted.toolCallsWithoutLease > 0) say(`${granted.toolCallsWithoutLease} reported tool calls name no lease and count for none`);
    say('what cannot be known:');
    for (const limit of LIMITS) say(`  ${limit}`);
  });
}

function tellGroup({ agent, purpose, credentials, proposals }: UsageGroup): void {
  print(`${agent}, ${purpose}`);
  print(table(['  CREDENTIAL', 'GRANTED', 'USED', 'UNUSED', 'UNKNOWN', 'ASKED', 'USED FOR (P95)', 'DID', 'NOT EXERCISED'], credentials.map(rowOf), 'nothing was granted'));
  for (const proposal of proposals) print(`  -> ${wordsOf(proposal)}`);
}

const rowOf = ({ credential, leases, used, unused, unknown, asked_seconds: asked, used_seconds_p95: p95, did, objects, actions }: CredentialUsage): string[] => [
  `  ${credential}`, String(leases), String(used), String(unused), String(unknown), `${asked.median} s`, p95 === null ? '-' : `${Math.ceil(p95)} s`,
  [...Object.entries(did).map(([what, count]) => `${what} x ${count}`), ...objects].join(', ') || '-',
  actions.not_exercised.join(', ') || '-',
];

function wordsOf(proposal: Proposal): string {
  switch (proposal.propose) {
    case 'drop_credential':
      return `do not declare ${proposal.credential}: ${proposal.because}`;
    case 'shorten':
      return `ttl_seconds ${proposal.ttl_seconds} for ${proposal.credential}: ${proposal.because}`;
    case 'drop_actions':
      return `do not declare ${proposal.actions.join(', ')}: ${proposal.because}`;
    default:
      return proposal satisfies never;
  }
}
