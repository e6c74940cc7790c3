import { readFileSync } from 'node:fs';
import { Option, type Command } from 'commander';
import { examples } from '../examples.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { jsonOption } from '../output-flags.ts';
import { print, printJson, say, styled, table } from '../output.ts';
import { addPolicyReplayCommand } from './policy-replay-command.ts';
import { addPolicyUsageCommand } from './policy-usage-command.ts';

const DIRECTORY = 'config/policies';

/** `mayfly policy`: lint, test, explain and replay a folder of policies; what was granted against what was used. None of it needs a broker. */
export function addPolicyCommands(program: Command): void {
  const policy = program.command('policy').description('work with policies before they are used');

  policy
    .command('lint')
    .description('what keeps a set from coming into force, and what is doubtful in it')
    .argument('[directory]', 'the folder of the policies', DIRECTORY)
    .option('--strict', 'fail for warnings too')
    .addOption(jsonOption())
    .addHelpText('before', examples('mayfly policy lint config/policies'))
    .action(async (directory: string, flags: { strict?: boolean; json?: boolean }) => {
      const { readPolicies } = await import('../../policy/load-policies.ts');
      const { lintPolicies } = await import('../../policy/lint-policies.ts');
      const findings = lintPolicies(readPolicies(directory));
      const bad = findings.filter(({ level }) => level === 'error' || flags.strict === true).length;
      if (flags.json === true) printJson({ ok: bad === 0, findings });
      else if (findings.length === 0) print(`${directory}: nothing to mend`);
      else for (const { level, file, line, policy: id, detail } of findings) print(`${file}${line === null ? '' : `:${line}`}: ${styled(level === 'error' ? 'red' : 'yellow', level)}: ${id === null ? '' : `${id} `}${detail}`);
      if (bad > 0) throw new CliError(EXIT.failure, `${bad} to mend`);
    });

  policy
    .command('test')
    .description("ask a folder's policies the cases in its folder tests/, or those in the files named")
    .argument('[directory]', 'the folder of the policies', DIRECTORY)
    .argument('[files...]', 'files of cases')
    .option('--coverage', 'tell which policies no case was decided by')
    .addOption(new Option('--min <percent>', 'fail below this coverage').implies({ coverage: true }))
    .addOption(jsonOption())
    .addHelpText('before', examples('mayfly policy test config/policies --coverage --min 100'))
    .action(async (directory: string, files: string[], flags: { coverage?: boolean; min?: string; json?: boolean }) => {
      const min = flags.min === undefined ? 0 : percentOf(flags.min);
      const { loadPolicies } = await import('../../policy/load-policies.ts');
      const { createDraftEngine } = await import('../../policy/cedar-engine.ts');
      const { testFilesOf, testPolicies } = await import('../../policy/test-policies.ts');
      const chosen = files.length > 0 ? files : testFilesOf(directory);
      if (chosen.length === 0) throw new CliError(EXIT.usage, `there are no cases in ${directory}/tests; name files, or write some (docs/policies.md shows one)`);
      const { policyCoverage } = await import('../../policy/policy-coverage.ts');
      const compiled = loadPolicies(directory);
      const engine = createDraftEngine(compiled);
      const results = chosen.flatMap((file) => testPolicies(engine, file));
      const failed = results.filter(({ ok }) => !ok);
      const coverage = flags.coverage === true ? policyCoverage(compiled, results) : null;
      if (flags.json === true) printJson({ ok: failed.length === 0 && (coverage?.percent ?? 100) >= min, policy_version: engine.version, results, ...(coverage === null ? {} : { coverage }) });
      else {
        for (const { ok, name, actual, differences } of results) {
          print(`${ok ? styled('green', 'ok  ') : styled('red', 'FAIL')} ${name}: ${actual}`);
          for (const difference of differences) print(`       ${difference}`);
        }
        for (const { id, effect } of (coverage?.policies ?? []).filter(({ cases }) => cases.length === 0)) print(`${styled('yellow', 'none')} ${id}: no case was decided by this ${effect}`);
        if (coverage !== null) print(`${coverage.covered} of ${coverage.total} policies decided some case: ${coverage.percent} %`);
      }
      if (failed.length > 0) throw new CliError(EXIT.failure, `${failed.length} of ${results.length} cases failed`);
      if (coverage !== null && coverage.percent < min) throw new CliError(EXIT.failure, `${coverage.percent} % of the policies decided some case, less than ${min} %`);
      say(`${results.length} cases passed`);
    });

  policy
    .command('explain')
    .description('why a question is answered as it is: which policies decided, and what is missing in those that nearly did')
    .argument('[directory]', 'the folder of the policies', DIRECTORY)
    .addOption(new Option('--ask <file>', 'the question as JSON or YAML, as in a case; - for standard input').makeOptionMandatory())
    .addOption(jsonOption())
    .addHelpText('before', examples("echo '{agent: \"agent:refunds\", credential: orders-db, purpose: data-export, actions: [export]}' | mayfly policy explain --ask -"))
    .action(async (directory: string, flags: { ask: string; json?: boolean }) => {
      const { loadPolicies } = await import('../../policy/load-policies.ts');
      const { explainDecision } = await import('../../policy/explain-decision.ts');
      const { questionOf } = await import('../../policy/policy-ask.ts');
      const { ask, facts } = await readAsk(flags.ask);
      const { decision, policies } = explainDecision(loadPolicies(directory), questionOf(ask, facts));
      if (flags.json === true) {
        printJson({ decision: { result: decision.result, policies: decision.policies, reasons: decision.reasons, policy_version: decision.policyVersion, fault: decision.fault }, policies });
        return;
      }
      print(`${decision.result}${decision.policies.length === 0 ? ': no policy permits it' : ` by ${decision.policies.join(', ')}`}`);
      for (const reason of decision.reasons) print(`  the caller is told: ${reason}`);
      if (decision.fault !== null) print(`  fault: ${decision.fault}`);
      const near = policies.filter(({ stands }) => stands !== 'head');
      print(table(['POLICY', 'EFFECT', 'HERE'], near.map(({ id, effect, stands }) => [id, effect, stands === 'applies' ? 'applies' : 'its condition does not hold']), 'no policy is for this agent and credential'));
      for (const { id, effect, conditions } of near.filter((one) => one.stands === 'condition' && one.effect === 'permit')) {
        print(`${id} would ${effect}, but for:`);
        for (const { text } of conditions.filter(({ holds }) => !holds)) print(`  ${text}`);
      }
    });

  addPolicyReplayCommand(policy, DIRECTORY);
  addPolicyUsageCommand(policy);
}

function percentOf(text: string): number {
  if (!/^(\d{1,2}|100)$/.test(text)) throw new CliError(EXIT.usage, `--min takes a percentage from 0 to 100, not ${text}`);
  return Number(text);
}

async function readAsk(file: string) {
  const { parse } = await import('yaml');
  const { z } = await import('zod');
  const { credentialFacts, policyAsk } = await import('../../policy/policy-ask.ts');
  let value: unknown;
  try {
    value = parse(readFileSync(file === '-' ? 0 : file, 'utf8'));
  } catch {
    throw new CliError(EXIT.usage, `--ask ${file}: cannot be read as JSON or YAML`);
  }
  const result = policyAsk.extend({ credential_facts: credentialFacts.optional() }).safeParse(value);
  if (!result.success) throw new CliError(EXIT.usage, `--ask ${file}:`, ...z.prettifyError(result.error).split('\n'));
  const { credential_facts: facts, ...ask } = result.data;
  return { ask, facts: facts ?? credentialFacts.parse({}) };
}
