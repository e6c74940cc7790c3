import type { Command } from 'commander';
import { createBrokerClient, type ConnectionFlags } from '../broker-client.ts';
import { connectionSettings } from '../connection-settings.ts';
import { examples } from '../examples.ts';
import { countdown, print, printJson, table } from '../output.ts';
import { jsonOption } from '../output-flags.ts';
import type { Setting } from '../settings-file.ts';

interface WhoamiAnswer {
  readonly kind: string;
  readonly subject: string;
  readonly issuer: string;
  readonly role: string | null;
  readonly instance: string | null;
  readonly sender_bound: boolean;
  readonly token_expires_at: string;
}

/** Commands about the connection itself: whoami, config view. */
export function addConnectionCommands(program: Command, connection: (command: Command) => Command): void {
  connection(program.command('whoami'))
    .description('for whom the broker takes you, and until when')
    .addOption(jsonOption())
    .addHelpText('before', examples('mayfly whoami', 'mayfly whoami --cert-file agent.pem --key-file agent.key --ca-file ca.pem'))
    .action(async (flags: ConnectionFlags & { json?: boolean }) => {
      const client = createBrokerClient(flags, 'operator');
      const { body } = await client.call('GET', '/v1/whoami');
      if (flags.json === true) {
        printJson(body);
        return;
      }
      const caller = body['caller'] as WhoamiAnswer;
      const rows = [
        ['issuer', caller.issuer],
        ['role', caller.role ?? '-'],
        ...(caller.instance === null ? [] : [['instance', caller.instance]]),
        ...(caller.kind === 'workload' ? [['bound to a key', caller.sender_bound ? 'yes' : 'no']] : []),
        ['ends in', countdown(caller.token_expires_at, client.nowMs())],
      ];
      print(table([caller.kind.toUpperCase(), caller.subject], rows, ''));
    });
}

/** `mayfly config view`, beside `config check`: which broker a command would call, and with what. Calls nobody. */
export function addConfigViewCommand(config: Command, connection: (command: Command) => Command): void {
  connection(config.command('view'))
    .description('which broker commands call from here, and with what; calls nobody, shows no secret')
    .option('--show-origin', 'also where each was said')
    .addOption(jsonOption())
    .addHelpText('before', examples('mayfly config view --show-origin'))
    .action(async (flags: ConnectionFlags & { showOrigin?: boolean; json?: boolean }) => {
      const settings = await connectionSettings(flags, 'operator', { env: process.env, folder: process.cwd() });
      const shown = Object.entries({ ...settings } as Readonly<Record<string, Setting>>).map(([name, { value, origin }]) => ({ name: NAMES[name] ?? name, value: SECRETS.has(name) ? '[secret]' : value, origin }));
      if (flags.json === true) printJson({ settings: shown });
      else print(table(['SETTING', 'VALUE', ...(flags.showOrigin === true ? ['FROM'] : [])], shown.map(({ name, value, origin }) => [name, value, ...(flags.showOrigin === true ? [origin] : [])]), ''));
    });
}

const SECRETS: ReadonlySet<string> = new Set(['token', 'login']);

/** As they are called in a settings file. */
const NAMES: Readonly<Record<string, string>> = { tokenFile: 'token_file', certFile: 'cert_file', keyFile: 'key_file', caFile: 'ca_file' };
