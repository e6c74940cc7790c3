import { Command } from 'commander';

/**
 * Makes a group of commands say what an unknown one may have meant. One whose default command runs where none is named would
 * take the word for an argument of that.
 */
export function suggestSubcommands(group: Command): void {
  group.hook('preSubcommand', () => {
    const [word] = group.args;
    if (word === undefined || word.startsWith('-') || group.commands.some((one) => one.name() === word)) return;
    const named = new Command(group.name()).copyInheritedSettings(group);
    for (const one of group.commands) named.command(one.name());
    named.parse([word], { from: 'user' });
  });
}
