import { digestOf } from '../core/canonical-json.ts';
import type { FieldFault } from '../core/problem.ts';
import { jsonPointer } from './declaration.ts';
import type { RequestedCredential, Task } from './task.ts';

/** What a child asks for, every default filled in. */
export interface ChildEnvelope {
  readonly purpose: string;
  readonly ticket: string | null;
  readonly actions: readonly string[];
  readonly dataClasses: readonly string[];
  readonly context: Task['context'];
  readonly ttlSeconds: number;
  readonly credentials: readonly RequestedCredential[];
}

/** What a parent can hand on: its envelope, the time it has left, and what it holds. */
export interface ParentEnvelope extends Pick<Task, 'purpose' | 'ticket' | 'actions' | 'dataClasses' | 'context'> {
  readonly secondsLeft: number;
  /** Declared, or granted in addition and still live. */
  readonly credentials: readonly RequestedCredential[];
}

/**
 * Everything in which a child would exceed its parent, each with a pointer and what would pass; empty for a narrower one.
 * Purposes have no order, so it is the parent's; context may be added to and never changed. Risk follows from the actions.
 */
export function excessOver(parent: ParentEnvelope, child: ChildEnvelope): FieldFault[] {
  return [
    ...(child.purpose === parent.purpose ? [] : [{ pointer: '/purpose', detail: `must be that of the parent task, ${parent.purpose}` }]),
    ...(child.ticket === parent.ticket ? [] : [{ pointer: '/ticket', detail: `must be that of the parent task${parent.ticket === null ? ', which has none' : `, ${parent.ticket}`}` }]),
    ...outside('actions', child.actions, parent.actions),
    ...outside('data_classes', child.dataClasses, parent.dataClasses),
    ...contextFaults(parent.context, child.context),
    ...(child.ttlSeconds <= parent.secondsLeft ? [] : [{ pointer: '/ttl_seconds', detail: `must be at most ${parent.secondsLeft}, what is left of the parent task` }]),
    ...child.credentials.flatMap((credential, index) => credentialExcess(parent.credentials, credential, ['credentials', index])),
  ];
}

/** In what one credential of a child would exceed all that its parent can hand on. Faults point below `at`. */
export function credentialExcess(held: readonly RequestedCredential[], { name, params, ttlSeconds }: RequestedCredential, at: readonly PropertyKey[]): FieldFault[] {
  const named = held.filter((one) => one.name === name);
  if (named.length === 0) return [{ pointer: jsonPointer([...at, 'name']), detail: 'is not a credential that the parent task has' }];
  const alike = named.filter((one) => digestOf(one.params) === digestOf(params));
  if (alike.length === 0) return [{ pointer: jsonPointer([...at, 'params']), detail: 'must be those of the parent task' }];
  const longest = Math.max(...alike.map((one) => one.ttlSeconds));
  return ttlSeconds <= longest ? [] : [{ pointer: jsonPointer([...at, 'ttl_seconds']), detail: `must be at most ${longest}, as in the parent task` }];
}

const outside = (field: string, words: readonly string[], allowed: readonly string[]): FieldFault[] =>
  words.flatMap((word, index) => (allowed.includes(word) ? [] : [{ pointer: jsonPointer([field, index]), detail: `is not among those of the parent task: ${allowed.join(', ') || 'none'}` }]));

const contextFaults = (inherited: Task['context'], own: Task['context']): FieldFault[] =>
  Object.entries(inherited).flatMap(([key, value]) => (Object.hasOwn(own, key) && own[key] === value ? [] : [{ pointer: jsonPointer(['context', key]), detail: 'must be as in the parent task' }]));
