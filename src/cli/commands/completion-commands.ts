import { Argument, type Command } from 'commander';
import { createBrokerClient, type ConnectionFlags } from '../broker-client.ts';
import { brokerValues } from '../completion/broker-values.ts';
import { completeWords, type Candidate, type ValueKind } from '../completion/complete-words.ts';
import { SHELL_SCRIPTS, SHELLS, type Shell } from '../completion/shell-scripts.ts';
import { examples } from '../examples.ts';
import { print, printable } from '../output.ts';

/** Who presses a key waits no longer for what a broker knows. */
const PATIENCE_MS = 1_500;

/** `mayfly completion`, and what the shells call. */
export function addCompletionCommands(program: Command): void {
  program
    .command('completion')
    .description('print what makes a shell complete commands, options, values and, where a token is at hand, ids')
    .addArgument(new Argument('<shell>').choices(SHELLS))
    .addHelpText('before', examples('source <(mayfly completion bash)', 'mayfly completion fish > ~/.config/fish/completions/mayfly.fish'))
    .action((shell: Shell) => print(SHELL_SCRIPTS[shell]));

  program
    .command('__complete', { hidden: true })
    .argument('[words...]')
    .action(async (words: readonly string[]) => {
      const { candidates, kind } = completeWords(program, words);
      const current = words.at(-1) ?? '';
      const known = kind === null ? [] : await fromBroker(kind, connectionOf(words));
      for (const { value, description } of [...candidates, ...known.filter((one) => one.value.startsWith(current))]) print(`${oneWord(value)}\t${oneWord(description)}`);
      print(kind === 'file' || kind === 'directory' ? `:${kind}` : ':');
      // A broker that is still being asked is not waited for.
      process.exit();
    });
}

/** What a broker knows, if it says so in time; nothing where there is no broker or no token. */
async function fromBroker(kind: ValueKind, flags: ConnectionFlags): Promise<Candidate[]> {
  if (kind === 'file' || kind === 'directory') return [];
  const late = AbortSignal.timeout(PATIENCE_MS);
  const inTime = new Promise<Candidate[]>((resolve) => late.addEventListener('abort', () => resolve([]), { once: true }));
  const asked = brokerValues(kind, createBrokerClient(flags, 'operator')).catch((): Candidate[] => []);
  return Promise.race([asked, inTime]);
}

/** How the words so far would reach a broker. Standard input is the shell's. */
function connectionOf(words: readonly string[]): ConnectionFlags {
  const after = (flag: string): string | undefined => {
    const at = words.indexOf(flag);
    return at === -1 || words[at + 1] === '-' ? undefined : words[at + 1];
  };
  return Object.fromEntries(Object.entries({ addr: after('--addr'), tokenFile: after('--token-file'), certFile: after('--cert-file'), keyFile: after('--key-file'), caFile: after('--ca-file') }).filter(([, value]) => value !== undefined));
}

const oneWord = (text: string): string => printable(text).replace(/[\t\n]/g, ' ');
