import { createInterface } from 'node:readline/promises';
import { CliError, EXIT } from './exit-codes.ts';

/**
 * Whether the person at the terminal types `words` in full. Asks on standard error, so that standard output holds data alone.
 * Throws a usage error where nobody is there to ask: a script says `--yes`.
 */
export async function confirmed(question: string, words = 'yes'): Promise<boolean> {
  someoneIsThere();
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await new Promise<string>((resolve) => {
    // Ctrl-C and Ctrl-D are a no.
    terminal.once('close', () => resolve(''));
    terminal.once('SIGINT', () => terminal.close());
    void terminal.question(`${question} Type ${words}: `).then(resolve, () => resolve(''));
  });
  terminal.close();
  return answer.trim() === words;
}

/** Throws a usage error where no terminal is there to ask. */
export function someoneIsThere(instead = 'add --yes'): void {
  if (!process.stdin.isTTY) throw new CliError(EXIT.usage, `nobody is there to confirm: ${instead}`);
}
