import { describe, expect, it } from '@jest/globals';
import fc from '../support/fast-check.ts';
import { excessOver, type ChildEnvelope, type ParentEnvelope } from '../../src/task/narrower.ts';

const PARENT: ParentEnvelope = {
  purpose: 'refund-investigation',
  ticket: 'OPS-1',
  actions: ['read', 'write'],
  dataClasses: ['pii'],
  context: { region: 'eu' },
  secondsLeft: 120,
  credentials: [
    { name: 'orders-db', ttlSeconds: 60, params: { table: 'orders' } },
    { name: 'task-token', ttlSeconds: 30, params: {} },
  ],
};
const CHILD: ChildEnvelope = {
  purpose: PARENT.purpose,
  ticket: 'OPS-1',
  actions: ['read'],
  dataClasses: [],
  context: { region: 'eu', tool: 'sql' },
  ttlSeconds: 120,
  credentials: [{ name: 'orders-db', ttlSeconds: 60, params: { table: 'orders' } }],
};

describe('a child', () => {
  it('that is narrower exceeds nothing', () => {
    expect(excessOver(PARENT, CHILD)).toEqual([]);
  });

  it.each<[string, Partial<ChildEnvelope>, string]>([
    ['another purpose', { purpose: 'data-export' }, '/purpose'],
    ['another ticket', { ticket: 'OPS-2' }, '/ticket'],
    ['no ticket', { ticket: null }, '/ticket'],
    ['an action more', { actions: ['read', 'export'] }, '/actions/1'],
    ['a data class more', { dataClasses: ['financial'] }, '/data_classes/0'],
    ['another value in the context', { context: { region: 'us' } }, '/context/region'],
    ['a member of the context left out', { context: {} }, '/context/region'],
    ['a second more', { ttlSeconds: 121 }, '/ttl_seconds'],
    ['a credential more', { credentials: [{ name: 'vault-token', ttlSeconds: 1, params: {} }] }, '/credentials/0/name'],
    ['a credential with other parameters', { credentials: [{ name: 'orders-db', ttlSeconds: 1, params: { table: 'people' } }] }, '/credentials/0/params'],
    ['a credential a second longer', { credentials: [{ name: 'task-token', ttlSeconds: 31, params: {} }] }, '/credentials/0/ttl_seconds'],
  ])('with %s is pointed at', (_name, more, pointer) => {
    expect(excessOver(PARENT, { ...CHILD, ...more }).map((fault) => fault.pointer)).toEqual([pointer]);
  });
});

/** The strictest reading of narrower, written without the code under test. */
const isWithin = (child: ChildEnvelope, over: ChildEnvelope): boolean =>
  child.purpose === over.purpose &&
  child.ticket === over.ticket &&
  child.actions.every((word) => over.actions.includes(word)) &&
  child.dataClasses.every((word) => over.dataClasses.includes(word)) &&
  Object.entries(over.context).every(([key, value]) => child.context[key] === value) &&
  child.ttlSeconds <= over.ttlSeconds &&
  child.credentials.every((one) => over.credentials.some((held) => held.name === one.name && JSON.stringify(held.params) === JSON.stringify(one.params) && one.ttlSeconds <= held.ttlSeconds));

const envelopes: fc.Arbitrary<ChildEnvelope> = fc.record({
  purpose: fc.constantFrom('p', 'p', 'p', 'q'),
  ticket: fc.constantFrom(null, null, 'T'),
  actions: fc.subarray(['read', 'write', 'export'], { minLength: 1 }),
  dataClasses: fc.subarray(['pii', 'financial']),
  context: fc.constantFrom<ChildEnvelope['context']>({}, { a: 1 }, { a: 2 }, { a: 1, b: true }),
  ttlSeconds: fc.integer({ min: 1, max: 4 }),
  credentials: fc.uniqueArray(fc.record({ name: fc.constantFrom('x', 'y'), ttlSeconds: fc.integer({ min: 1, max: 4 }), params: fc.constantFrom<ChildEnvelope['credentials'][number]['params']>({}, { k: 'v' }) }), { selector: ({ name }) => name, minLength: 1 }),
});

/** A part of an envelope, chosen by bits: what a well-behaved parent hands on. */
const partOf = (parent: ChildEnvelope, bits: number): ChildEnvelope => ({
  ...parent,
  actions: parent.actions.filter((_word, index) => index === 0 || ((bits >> index) & 1) === 0),
  dataClasses: parent.dataClasses.filter((_word, index) => ((bits >> (3 + index)) & 1) === 0),
  ttlSeconds: Math.max(1, parent.ttlSeconds - ((bits >> 5) & 1)),
});

describe('random chains of delegation', () => {
  it('never hold a task that exceeds any of its ancestors in anything', () => {
    let longest = 0;
    let refused = 0;
    const steps = fc.array(fc.oneof(envelopes, fc.nat({ max: 63 })), { minLength: 5, maxLength: 30 });
    fc.assert(
      fc.property(envelopes, steps, (root, asked) => {
        const chain = [root];
        for (const step of asked) {
          const parent = chain.at(-1) as ChildEnvelope;
          const child = typeof step === 'number' ? partOf(parent, step) : step;
          if (excessOver({ ...parent, secondsLeft: parent.ttlSeconds }, child).length === 0) chain.push(child);
          else refused += 1;
        }
        longest = Math.max(longest, chain.length);
        for (const [depth, task] of chain.entries()) for (const ancestor of chain.slice(0, depth)) expect(isWithin(task, ancestor)).toBe(true);
      }),
    );
    // Else nothing was looked at.
    expect(longest).toBeGreaterThan(5);
    expect(refused).toBeGreaterThan(100);
  });

  it('hold every child that is narrower', () => {
    fc.assert(fc.property(envelopes, envelopes, (parent, child) => expect(excessOver({ ...parent, secondsLeft: parent.ttlSeconds }, child).length === 0).toBe(isWithin(child, parent))));
  });
});
