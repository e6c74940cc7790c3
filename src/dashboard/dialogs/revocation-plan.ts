// What an operator can choose to end from where they stand, as selectors. Pure.
import type { Lease } from '../answers.ts';
import type { Selector } from '../broker.ts';
import { counted, readable } from '../words.ts';
import type { RevokeTarget } from './open-dialog.ts';

/** One thing that can be ended. A selection of very many is more than one request. */
export interface Scope {
  readonly name: string;
  readonly words: string;
  readonly selectors: readonly Selector[];
}

/** As many as one selector takes. */
const MOST_LEASES = 1_000;
/** From more leases than these the count is typed: nobody ends many by a slip of the finger. */
export const MANY = 5;

const scopesOfLease = ({ id, task_id: task, agent, agent_issuer: issuer }: Lease): readonly Scope[] => [
  { name: 'lease', words: 'this lease; its task goes on', selectors: [{ lease: id }] },
  { name: 'task', words: 'the whole task, with all its leases', selectors: [{ task }] },
  { name: 'subtree', words: 'the task and all that it delegated', selectors: [{ subtree: task }] },
  { name: 'agent', words: `everything of ${readable(agent)}`, selectors: [{ agent, agent_issuer: issuer }] },
];

/** From the narrowest to the widest. */
export function scopesOf(target: RevokeTarget): readonly Scope[] {
  switch (target.of) {
    case 'lease':
      return scopesOfLease(target.lease);
    case 'leases':
      return [{ name: 'selection', words: `the ${counted(target.leases.length, 'selected lease')}`, selectors: chunks(target.leases.map(({ id }) => id)) }];
    case 'selector':
      return [{ name: 'selector', words: target.words, selectors: [target.selector] }];
  }
}

const chunks = (leases: readonly string[]): Selector[] => Array.from({ length: Math.ceil(leases.length / MOST_LEASES) }, (_, index) => ({ leases: leases.slice(index * MOST_LEASES, (index + 1) * MOST_LEASES) }));
