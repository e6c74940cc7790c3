import type { Command } from 'commander';
import type { Config } from '../../config/config-schema.ts';
import type { KeyStatus } from '../../keys/rotate-keys.ts';
import { requiredConfigOption } from '../config-flag.ts';
import { examples } from '../examples.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { jsonOption } from '../output-flags.ts';
import { print, printJson, say, table } from '../output.ts';
import { wholeNumber } from '../whole-number.ts';

/** A list of key files of the configuration, by the name a person gives it. */
interface KeyList {
  readonly name: string;
  readonly files: readonly string[];
  /** How long what a key signed can still be shown, seconds; 0 where it is verified by keys that are kept elsewhere. */
  readonly livesSeconds: number;
}

/** `mayfly keys`: what signs, and its rotation. Works on the files; running brokers read them when they start. */
export function addKeysCommands(program: Command): void {
  const keys = program.command('keys').description('the keys that sign tokens, audit checkpoints and receipts');

  keys
    .command('ls')
    .description('each key with its place: what signs, what is published ahead of use, what is retired')
    .addOption(requiredConfigOption())
    .addOption(jsonOption())
    .addHelpText('before', examples('mayfly keys ls --config /etc/mayfly/mayfly.yaml'))
    .action(async (flags: { config: string; json?: boolean }) => {
      const { keyStatus } = await import('../../keys/rotate-keys.ts');
      const { loadCheckpointSigners } = await import('../../audit/checkpoint-signers.ts');
      const config = await configuration(flags.config);
      const lists = await Promise.all(listsOf(config).map(async ({ name, files }) => ({ name, keys: await keyStatus(files) })));
      const verifierKeys = loadCheckpointSigners(config).map(({ verifierKey }) => verifierKey);
      if (flags.json === true) {
        printJson({ keys: lists.flatMap(({ name, keys: own }) => own.map((key) => view(name, key))), checkpoint_verifier_keys: verifierKeys });
        return;
      }
      print(table(['KEYS', 'PLACE', 'SINCE', 'KID', 'FILE'], lists.flatMap(({ name, keys: own }) => own.map((key) => [name, key.place, new Date(key.sinceMs).toISOString(), key.kid, key.file])), 'no key files are configured'));
      for (const key of verifierKeys) say(`verifies checkpoints: ${key}`);
    });

  keys
    .command('rotate')
    .description('the next key signs, the signing one retires, a new one is published')
    .argument('<list>', 'a provider of type jwt, `checkpoints` or `receipts`')
    .addOption(requiredConfigOption())
    .option('--published <seconds>', 'how long the next key must have been published: as long as verifiers keep a key set', '3600')
    .option('--force', 'rotate now, although tokens of the oldest key may still live, or the next may not be known yet')
    .addOption(jsonOption())
    .addHelpText('before', examples('mayfly keys rotate tokens --config /etc/mayfly/mayfly.yaml'))
    .action(async (list: string, flags: { config: string; published: string; force?: boolean; json?: boolean }) => {
      const { rotateKeys, TooEarly } = await import('../../keys/rotate-keys.ts');
      const lists = listsOf(await configuration(flags.config));
      const found = lists.find(({ name }) => name === list);
      if (found === undefined) throw new CliError(EXIT.usage, `there is no list of keys called ${list}; there ${lists.length === 1 ? 'is' : 'are'} ${lists.map(({ name }) => name).join(', ') || 'none'}`);
      const patient = flags.force !== true;
      const publishedMs = patient ? wholeNumber('--published', flags.published) * 1000 : 0;
      const retiredMs = patient ? found.livesSeconds * 1000 : 0;
      try {
        const rotated = await rotateKeys(found.files, { nowMs: Date.now(), publishedMs, retiredMs });
        if (flags.json === true) printJson({ keys: rotated.map((key) => view(list, key)) });
        else print(table(['KEYS', 'PLACE', 'KID', 'FILE'], rotated.map((key) => [list, key.place, key.kid, key.file]), ''));
        say('brokers read keys when they start: restart them one after another');
      } catch (error) {
        if (error instanceof TooEarly) throw new CliError(EXIT.failure, `${list}: ${error.message}`, 'wait, or use --force');
        if (error instanceof RangeError) throw new CliError(EXIT.failure, `${list}: ${error.message}`, 'add files to the list in the configuration; `openssl genpkey -algorithm ed25519` makes one');
        throw error;
      }
    });
}

const view = (list: string, { file, place, kid, sinceMs }: KeyStatus): object => ({ list, place, kid, since: new Date(sinceMs).toISOString(), file });

function listsOf({ providers, keys, limits }: Config): KeyList[] {
  const tokens = Object.entries(providers).flatMap(([name, provider]) => (provider.type === 'jwt' ? [{ name, files: provider.signing_key_files, livesSeconds: limits.max_ttl_seconds }] : []));
  return [
    ...tokens,
    ...(keys.checkpoint_key_files === undefined ? [] : [{ name: 'checkpoints', files: keys.checkpoint_key_files, livesSeconds: 0 }]),
    ...(keys.receipt_key_files === undefined ? [] : [{ name: 'receipts', files: keys.receipt_key_files, livesSeconds: 0 }]),
  ];
}

async function configuration(path: string): Promise<Config> {
  const { loadConfig } = await import('../../config/load-config.ts');
  return loadConfig({ path, env: process.env, checkFiles: false });
}
