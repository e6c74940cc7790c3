import type { Command } from 'commander';
import { CliError, EXIT } from './exit-codes.ts';

/** Every word of a selector, with what it takes. */
const WORDS = {
  lease: ['<id>', ''],
  task: ['<id>', ''],
  subtree: ['<id>', 'the task and all that it delegated'],
  agent: ['<subject>', ''],
  credential: ['<name>', ''],
  provider: ['<name>', ''],
  purpose: ['<word>', ''],
  policy: ['<id>', 'a policy id or version in the decision that started the task'],
  before: ['<instant>', 'leases created before it (RFC 3339)'],
  all: ['', 'everything; stands alone'],
} as const;

export type SelectorWord = keyof typeof WORDS;
export type SelectorFlags = { readonly [Word in SelectorWord]?: Word extends 'all' ? true : string };

export const REVOCATION_WORDS = Object.keys(WORDS) as SelectorWord[];
export const LOCK_WORDS: readonly SelectorWord[] = ['task', 'agent', 'credential', 'provider', 'purpose', 'all'];

/** Gives a command an option for each word. */
export const withSelector = (command: Command, words: readonly SelectorWord[]): Command =>
  words.reduce((so, word) => so.option(`--${word} ${WORDS[word][0]}`.trim(), ...(WORDS[word][1] === '' ? [] : [WORDS[word][1]])), command);

/** The selector that the flags spell. Throws where none is given. */
export function selectorOf(flags: SelectorFlags, words: readonly SelectorWord[], verb: string): Record<string, string | true> {
  const selector = Object.fromEntries(words.flatMap((word) => (flags[word] === undefined ? [] : [[word, flags[word]] as const])));
  if (Object.keys(selector).length > 0) return selector;
  const named = words.map((word) => `--${word}`);
  throw new CliError(EXIT.usage, `say what to ${verb}: ${named.slice(0, -1).join(', ')} or ${named.at(-1) ?? ''}`);
}
