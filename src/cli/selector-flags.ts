import { Option, type Command } from 'commander';
import { systemClock } from '../core/clock.ts';
import { CliError, EXIT } from './exit-codes.ts';
import { instantFlag } from './instant-flag.ts';
import { repeatable } from './repeatable.ts';

/** Every word of a selector, with what it takes. */
const WORDS = {
  lease: ['<id>', 'one lease; repeat for more, up to 1,000'],
  task: ['<id>', 'one task'],
  subtree: ['<id>', 'the task and all that it delegated'],
  agent: ['<subject>', 'all that the agent has'],
  agentIssuer: ['<issuer>', 'beside --agent: only where this issuer vouches for it'],
  subject: ['<subject>', 'the person on whose behalf an agent acts'],
  credential: ['<name>', 'as the configuration calls it'],
  provider: ['<name>', 'as the configuration calls it'],
  purpose: ['<word>', 'why the task was declared'],
  policy: ['<id>', 'a policy id or version in the decision that started the task'],
  before: ['<instant>', 'leases created before it: RFC 3339, or how long ago, as 12h'],
  all: ['', 'everything; stands alone'],
} as const;

export type SelectorWord = keyof typeof WORDS;
export type SelectorFlags = { readonly [Word in SelectorWord]?: Word extends 'all' ? true : Word extends 'lease' ? readonly string[] : string };
/** As the API takes it. */
export type Selector = Readonly<Record<string, string | readonly string[] | true>>;

export const REVOCATION_WORDS = Object.keys(WORDS) as SelectorWord[];
export const LOCK_WORDS: readonly SelectorWord[] = ['task', 'agent', 'agentIssuer', 'credential', 'provider', 'purpose', 'all'];

/** What to select by, under a heading of its own. */
function optionOf(word: SelectorWord): Option {
  const option = new Option(`--${dashed(word)} ${WORDS[word][0]}`.trim(), WORDS[word][1]).helpGroup('What (all that is given has to match):');
  return word === 'lease' ? option.argParser((id: string, before: readonly string[] | undefined) => repeatable(id, before ?? [])) : option;
}
const dashed = (word: string): string => word.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** Gives a command an option for each word. */
export const withSelector = (command: Command, words: readonly SelectorWord[]): Command => words.reduce((so, word) => so.addOption(optionOf(word)), command);

/** The selector that the flags spell. Throws where none is given. */
export function selectorOf(flags: SelectorFlags, words: readonly SelectorWord[], verb: string): Selector {
  const { lease: leases = [], ...others } = flags;
  const lease = leases.length > 1 ? { leases } : leases.length === 1 ? { lease: leases[0] } : {};
  const selector: Record<string, string | readonly string[] | true> = Object.fromEntries([
    ...Object.entries(words.includes('lease') ? lease : {}),
    ...words.flatMap((word) => (word === 'lease' || others[word] === undefined ? [] : [[word === 'agentIssuer' ? 'agent_issuer' : word, others[word]] as const])),
  ]);
  if (flags.before !== undefined) selector['before'] = new Date(instantFlag('--before', flags.before, systemClock.now())).toISOString();
  if (Object.keys(selector).length > 0) return selector;
  const named = words.filter((word) => word !== 'agentIssuer').map((word) => `--${word}`);
  throw new CliError(EXIT.usage, `say what to ${verb}: ${named.slice(0, -1).join(', ')} or ${named.at(-1) ?? ''}`);
}
