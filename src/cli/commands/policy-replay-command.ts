import { Option, type Command } from 'commander';
import { systemClock } from '../../core/clock.ts';
import type { ReplayChange, ReplayGroup, ReplayReport } from '../../policy/replay-decisions.ts';
import { auditFileOf, auditFileOptions, type AuditFileFlags } from '../audit-file-flag.ts';
import { examples } from '../examples.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { instantFlag } from '../instant-flag.ts';
import { jsonOption } from '../output-flags.ts';
import { print, printJson, printable, say, styled } from '../output.ts';
import { progressLine } from '../progress-line.ts';
import { countFlag } from '../whole-number.ts';

type FailOn = 'deny' | 'difference' | 'never';

interface ReplayFlags extends AuditFileFlags {
  readonly since?: string;
  readonly until?: string;
  readonly agent?: string;
  readonly purpose?: string;
  readonly failOn: FailOn;
  readonly examples: string;
  readonly json?: boolean;
}

const HEADINGS: Readonly<Record<ReplayChange, readonly [heading: string, colour: 'red' | 'yellow' | 'cyan']>> = {
  would_deny: ['would be denied', 'red'],
  would_need_approval: ['would wait for an approval', 'yellow'],
  would_permit: ['would be permitted', 'yellow'],
  other_policies: ['the same answer by other policies', 'cyan'],
};

/** `mayfly policy replay`: what a set of policies would have answered to what is on the record. */
export function addPolicyReplayCommand(policy: Command, directoryDefault: string): void {
  const replay = policy
    .command('replay')
    .description('ask policies what is on the audit log again, and tell where they would answer otherwise; needs no broker')
    .argument('[directory]', 'the folder of the policies', directoryDefault)
    .option('--since <when>', 'RFC 3339, or how long ago: 30m, 12h, 7d')
    .option('--until <when>', 'the same')
    .option('--agent <subject>', 'whose')
    .option('--purpose <code>', 'declared for it')
    .addOption(new Option('--fail-on <what>', 'exit with 1 when something would be denied, when anything differs, or never').choices(['deny', 'difference', 'never']).default('deny'))
    .addOption(new Option('--examples <n>', 'decisions named for each difference').default('3'))
    .addOption(jsonOption())
    .addHelpText('before', examples('mayfly policy replay config/policies --since 7d --audit /var/lib/mayfly/audit.jsonl'));
  for (const option of auditFileOptions()) replay.addOption(option);
  replay.action(async (directory: string, flags: ReplayFlags) => {
    const { loadPolicies } = await import('../../policy/load-policies.ts');
    const { createCedarEngine } = await import('../../policy/cedar-engine.ts');
    const { replayDecisions } = await import('../../policy/replay-decisions.ts');
    const nowMs = systemClock.now();
    const { since, until, agent, purpose } = flags;
    const file = await auditFileOf(flags);
    const line = progressLine();
    const engine = createCedarEngine(loadPolicies(directory), 'replay');
    const report = await replayDecisions(engine, file, {
      filter: {
        ...(since === undefined ? {} : { sinceMs: instantFlag('--since', since, nowMs) }),
        ...(until === undefined ? {} : { untilMs: instantFlag('--until', until, nowMs) }),
        ...(agent === undefined ? {} : { agent }),
        ...(purpose === undefined ? {} : { purpose }),
      },
      examples: countFlag('--examples', flags.examples, 0),
      maxGroups: Number.MAX_SAFE_INTEGER,
      maxDecisions: Number.MAX_SAFE_INTEGER,
      onProgress: ({ bytes, decisions }) => line.show(0, 0, `${Math.floor(bytes / 1_048_576)} MiB of the record; ${decisions} decisions replayed`),
    }).catch((error: unknown) => {
      throw new CliError(EXIT.failure, `${file} cannot be read: ${error instanceof Error ? error.message : ''}`);
    });
    line.clear();
    if (flags.json === true) printJson(report);
    else tell(report);
    const { chain, changed } = report;
    if (!chain.ok) say(`the chain of ${chain.file} is broken: line ${chain.line}: ${chain.problem}: ${chain.detail}; what stands after it is vouched for by nothing`);
    const differing = Object.values(changed).reduce((sum, count) => sum + count, 0);
    if (flags.failOn === 'never') return;
    if (!chain.ok) throw new CliError(EXIT.failure);
    if (changed.would_deny > 0) throw new CliError(EXIT.failure, `${changed.would_deny} of ${report.replayed} would be denied`);
    if (flags.failOn === 'difference' && differing > 0) throw new CliError(EXIT.failure, `${differing} of ${report.replayed} differ`);
  });
}

function tell({ replayed, unchanged, changed, cannot_be_replayed: lost, groups, policy_version: version }: ReplayReport): void {
  print(`${replayed} decisions asked again of ${version}: ${unchanged} unchanged`);
  for (const [change, [heading, colour]] of Object.entries(HEADINGS) as [ReplayChange, (typeof HEADINGS)[ReplayChange]][]) {
    if (changed[change] === 0) continue;
    print(styled(colour, `${changed[change]} ${heading}`));
    for (const group of groups.filter((one) => one.change === change)) tellGroup(group);
  }
  if (lost.total > 0) {
    const { not_recorded: before, unreadable, other_digest: other } = lost.reasons;
    print(`${lost.total} cannot be replayed: ${before} without their questions on the record, ${unreadable} that this version cannot read, ${other} that do not have their input digest`);
    for (const { seq, decision, reason } of lost.examples) print(`    record ${seq}, ${decision ?? 'no decision id'}: ${reason}`);
  }
}

function tellGroup({ count, agent, purpose, recorded, replayed, examples }: ReplayGroup): void {
  const by = (policies: readonly string[]): string => (policies.length === 0 ? 'no policy' : policies.join(', '));
  print(printable(`  ${count} x ${agent}, ${purpose}: ${recorded.result} by ${by(recorded.policies)} -> ${replayed.result} by ${by(replayed.policies)}`));
  if (replayed.fault !== null) print(printable(`    fault: ${replayed.fault}`));
  for (const { decision, task, at } of examples) print(`    ${decision}  ${task ?? 'no task'}  ${at}`);
}
