import { Option, type Command } from 'commander';
import { systemClock } from '../../core/clock.ts';
import { brokerClientWith, createBrokerClient, type ConnectionFlags } from '../broker-client.ts';
import { connectionSettings, ownAddress } from '../connection-settings.ts';
import { examples } from '../examples.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import type { CommandLineSignIn } from '../login/issuer-sign-in.ts';
import { forgetEveryLogin, forgetLogin, keepLogin } from '../login/login-store.ts';
import { jsonOption } from '../output-flags.ts';
import { countdown, printJson, say } from '../output.ts';

type AddressFlags = Pick<ConnectionFlags, 'addr' | 'caFile'>;
interface LoginFlags extends AddressFlags {
  readonly browser: boolean;
  readonly device?: boolean;
  readonly port: number;
  readonly json?: boolean;
}

/** Commands by which an operator gets a token without pasting one: login, logout. */
export function addLoginCommands(program: Command, addressed: (command: Command) => Command): void {
  addressed(program.command('login'))
    .description("sign in at the operators' issuer; later commands use the token that it gives, until that expires")
    .option('--no-browser', 'open none: only print the address to go to')
    .addOption(new Option('--device', 'sign in on another machine, by a code that you type there (where the issuer offers it)').conflicts('port'))
    .addOption(new Option('--port <n>', 'come back to this port of 127.0.0.1, where the issuer wants to know which').argParser(portOf).default(0, 'any free one'))
    .addOption(jsonOption())
    .addHelpText('before', examples('mayfly login --addr https://mayfly.example.org', 'mayfly login --device'))
    .action(async ({ browser, device = false, port, json, ...flags }: LoginFlags) => {
      const surroundings = { env: process.env, folder: process.cwd() };
      const { addr, caFile } = await ownAddress(flags, surroundings);
      const address = new URL(addr.value).origin;
      const { cli } = (await createBrokerClient(flags, 'anyone').call('GET', '/auth/methods')).body as { cli?: CommandLineSignIn | null };
      if (cli === undefined || cli === null) throw new CliError(EXIT.failure, `${address} does not say how to sign in: whoever runs it sets operators.cli`, 'until then, name a token of yours with --token-file');
      const { signInAt } = await import('../login/issuer-sign-in.ts');
      const { token, expiresAt } = await signInAt(cli, { browser, device, port });
      const { body } = await brokerClientWith({ addr, token: { value: token, origin: cli.issuer }, ...(caFile === undefined ? {} : { caFile }) }).call('GET', '/v1/whoami');
      const { subject, role } = body['caller'] as { subject: string; role: string | null };
      keepLogin({ address, token, expiresAt }, process.env);
      if (json === true) printJson({ login: { address, subject, role, expires_at: expiresAt } });
      else say(`signed in to ${address} as ${subject} (${role ?? 'no role'}), for ${countdown(expiresAt, systemClock.now())}`);
    });

  addressed(program.command('logout'))
    .description('forget what `mayfly login` got')
    .option('--all', 'at every broker')
    .addHelpText('before', examples('mayfly logout'))
    .action(async ({ all, ...flags }: AddressFlags & { readonly all?: boolean }) => {
      if (all === true) {
        say(`forgot ${forgetEveryLogin(process.env)} logins`);
        return;
      }
      const { addr } = await connectionSettings(flags, 'anyone', { env: process.env, folder: process.cwd() });
      const address = new URL(addr.value).origin;
      say(forgetLogin(address, process.env) ? `signed out of ${address}; a copy of the token, if somebody has one, is good until it expires` : `you are not signed in to ${address}`);
    });
}

function portOf(text: string): number {
  if (!/^\d{1,5}$/.test(text) || Number(text) < 1 || Number(text) > 65_535) throw new CliError(EXIT.usage, `--port takes a port from 1 to 65535, not ${text}`);
  return Number(text);
}
