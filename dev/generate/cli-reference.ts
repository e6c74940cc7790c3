import type { Command } from 'commander';
import { isHidden } from '../../src/cli/completion/complete-words.ts';
import { createProgram } from '../../src/cli/create-program.ts';

/** As wide as a terminal that does not say how wide it is: what is printed into a file looks like this, too. */
const WIDTH = 80;

/** `docs/cli-reference.md`: the help of each command as the command line prints it, with the groups of commands as chapters. */
export function cliReference(): string {
  const program = createProgram();
  const commands = program.commands.filter((command) => command.name() !== 'help' && !isHidden(command));
  return `${HEAD}\n${helpOf(program, 'mayfly')}\n${commands.map((command) => chapter(command, 'mayfly')).join('\n')}`;
}

/** A command with its own: a heading each, and its help as it is printed. */
function chapter(command: Command, above: string): string {
  const name = `${above} ${command.name()}`;
  const below = command.commands.filter((one) => one.name() !== 'help').map((one) => chapter(one, name));
  return [`${above === 'mayfly' ? '##' : '###'} ${name}\n\n${helpOf(command, name)}`, ...below].join('\n');
}

function helpOf(command: Command, name: string): string {
  let text = '';
  command.configureOutput({ writeOut: (words) => void (text += words), getOutHelpWidth: () => WIDTH, getOutHasColors: () => false });
  command.outputHelp();
  return `\`\`\`text\n$ ${name} --help\n${text.trimEnd()}\n\`\`\`\n`;
}

const HEAD = `<!-- Made by \`npm run generate\` from src/cli; do not edit. -->

# The command line, command by command

What each command prints with \`--help\`. [The command line](cli.md) tells how they work together, and what they have in common.
`;
