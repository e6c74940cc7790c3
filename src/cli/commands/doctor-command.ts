import type { Command } from 'commander';
import type { Standing } from '../../doctor/check.ts';
import { requiredConfigOption } from '../config-flag.ts';
import { examples } from '../examples.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { jsonOption } from '../output-flags.ts';
import { print, printJson, say, styled } from '../output.ts';
import { repeatable } from '../repeatable.ts';

const MARKS: Readonly<Record<Standing, readonly [mark: string, colour: Parameters<typeof styled>[0]]>> = {
  ok: ['ok     ', 'green'],
  warning: ['warning', 'yellow'],
  failure: ['FAILURE', 'red'],
  skipped: ['skipped', 'gray'],
};

/** What can be looked at alone: the part of a check's name before its first dot. */
const AREAS = ['redis', 'vault', 'aws', 'issuer', 'sign_in', 'trust_domain', 'tls', 'keys', 'audit', 'policy', 'agents', 'webhooks', 'notices', 'ports'];

/** `mayfly doctor`: looks at all that a deployment hangs on. */
export function addDoctorCommand(program: Command): void {
  program
    .command('doctor')
    .description('look at all that a broker hangs on, from Redis, Vault and AWS to disk space and ports; each with a line that says how to fix it')
    .addOption(requiredConfigOption())
    .option('--only <area>', `${AREAS.slice(0, -1).join(', ')} or ${AREAS.at(-1) ?? ''}; repeat for more`, repeatable, [])
    .addOption(jsonOption())
    .addHelpText('before', examples('VAULT_TOKEN=... mayfly doctor --config /etc/mayfly/mayfly.yaml'))
    .addHelpText('after', '\nVAULT_TOKEN (or BAO_TOKEN) of a person lets it also read token roles and rights, which the broker itself may not.')
    .action(async (flags: { config: string; only: string[]; json?: boolean }) => {
      const unknown = flags.only.find((area) => !AREAS.includes(area));
      if (unknown !== undefined) throw new CliError(EXIT.usage, `--only ${unknown}: there are ${AREAS.join(', ')}`);
      const { loadConfig } = await import('../../config/load-config.ts');
      const { examine } = await import('../../doctor/doctor.ts');
      const config = loadConfig({ path: flags.config, env: process.env, checkFiles: true });
      const findings = await examine(config, { vaultToken: process.env['VAULT_TOKEN'] ?? process.env['BAO_TOKEN'], only: flags.only });
      const count = (standing: Standing): number => findings.filter((one) => one.standing === standing).length;
      if (flags.json === true) printJson({ ok: count('failure') === 0, findings });
      else {
        const width = Math.max(...findings.map(({ check }) => check.length));
        for (const { check, standing, found, fix } of findings) {
          const [mark, colour] = MARKS[standing];
          print(`${styled(colour, mark)}  ${check.padEnd(width)}  ${found}`);
          if (fix !== null) print(`${' '.repeat(width + 11)}${styled('dim', `-> ${fix}`)}`);
        }
      }
      say(`${count('ok')} ok, ${count('warning')} warnings, ${count('failure')} failures, ${count('skipped')} skipped`);
      if (count('failure') > 0) throw new CliError(EXIT.failure);
    });
}
