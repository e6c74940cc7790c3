import type { Argument, Command, Option } from 'commander';

/** Something that can stand at the cursor, and what it is. */
export interface Candidate {
  readonly value: string;
  readonly description: string;
}

/** What a broker or the file system can offer at the cursor. */
export type ValueKind = 'lease' | 'task' | 'lock' | 'agent' | 'approval' | 'webhook' | 'file' | 'directory';

export interface Completion {
  readonly candidates: readonly Candidate[];
  /** Also all of these; null where nobody knows more. */
  readonly kind: ValueKind | null;
}

/** By the name of an option, or of an argument. */
const KINDS: Readonly<Record<string, ValueKind>> = {
  lease: 'lease', task: 'task', subtree: 'task', tree: 'task', lock: 'lock', agent: 'agent', webhook: 'webhook',
  file: 'file', 'token-file': 'file', 'cert-file': 'file', 'key-file': 'file', 'ca-file': 'file', 'ticket-file': 'file', config: 'file', audit: 'file', keys: 'file', checkpoints: 'file',
  ask: 'file', files: 'file', 'postgres-log': 'file', cloudtrail: 'file', 'signed-declaration': 'file', 'user-token': 'file', directory: 'directory',
};

const NOTHING: Completion = { candidates: [], kind: null };

/** What can stand in place of the last of these words, which follow the program's name. */
export function completeWords(program: Command, words: readonly string[]): Completion {
  const current = words.at(-1) ?? '';
  let command = program;
  let pending: Option | undefined;
  const given = new Set<string>();
  let positions = 0;
  for (const word of words.slice(0, -1)) {
    if (pending !== undefined) {
      pending = undefined;
      continue;
    }
    if (word.startsWith('-')) {
      const option = optionNamed(command, word.split('=')[0] ?? '');
      if (typeof option?.long === 'string') given.add(option.long);
      if (option?.required === true && !word.includes('=')) pending = option;
      continue;
    }
    const below = command.commands.find((one) => one.name() === word);
    if (below === undefined) positions += 1;
    else [command, positions] = [below, 0];
  }
  if (pending !== undefined) return starting(valuesOf(pending, pending.name()), current);
  if (current.startsWith('-')) return starting({ candidates: optionsOf(command, given), kind: null }, current);
  const subcommands = command.commands.filter((one) => !isHidden(one));
  if (subcommands.length > 0 && positions === 0) return starting({ candidates: subcommands.map((one) => ({ value: one.name(), description: one.description() })), kind: null }, current);
  const argument = command.registeredArguments[positions] ?? command.registeredArguments.find(({ variadic }) => variadic);
  return argument === undefined ? NOTHING : starting(valuesOf(argument, argument.name(), command), current);
}

const starting = ({ candidates, kind }: Completion, current: string): Completion => ({ candidates: candidates.filter(({ value }) => value.startsWith(current)), kind });

function valuesOf(of: Option | Argument, name: string, command?: Command): Completion {
  const candidates = (of.argChoices ?? []).map((value) => ({ value, description: '' }));
  const kind = candidates.length > 0 ? null : (KINDS[name] ?? null);
  // A task that is to be approved is one that waits.
  return { candidates, kind: kind === 'task' && command?.parent?.name() === 'approvals' ? 'approval' : kind };
}

const optionNamed = (command: Command, word: string): Option | undefined =>
  [...command.options, ...(command.parent?.options ?? [])].find(({ long, short }) => long === word || short === word);

/** Options that were not given yet, or may be given again. */
const optionsOf = (command: Command, given: ReadonlySet<string>): Candidate[] => [
  ...command.options.filter(({ long, hidden, parseArg }) => typeof long === 'string' && !hidden && (!given.has(long) || parseArg !== undefined)).map(({ long, description }) => ({ value: long ?? '', description })),
  { value: '--help', description: 'display help for command' },
];

/** A command that is for programs, as the shells' own call for completions is. */
export const isHidden = (command: Command): boolean => command.name().startsWith('__');
