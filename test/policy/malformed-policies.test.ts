import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import fc from '../support/fast-check.ts';
import { createCedarEngine } from '../../src/policy/cedar-engine.ts';
import { compilePolicies, type PolicySources } from '../../src/policy/compile-policies.ts';
import { lintPolicies } from '../../src/policy/lint-policies.ts';
import { LivePolicies, type PolicyChange } from '../../src/policy/live-policies.ts';
import { loadPolicies, readPolicies } from '../../src/policy/load-policies.ts';
import { PolicyError } from '../../src/policy/policy-error.ts';
import { question, TABLE } from './example-questions.ts';
import { DIRECTORY } from './policy-fixture.ts';

const example = readPolicies(DIRECTORY);
const files = [example.schema, ...example.policies];
/** One question in six: enough for every policy, and quick. */
const QUESTIONS = TABLE.filter((_, index) => index % 6 === 0).map(([, ask]) => question(ask));

const WORD = /[A-Za-z_]+|"[^"]*"|[{}()[\],;]|==|&&/g;
const wordsOf = (text: string): readonly RegExpExecArray[] => [...text.matchAll(WORD)];
const cut = (text: string, from: number, to: number, put = ''): string => text.slice(0, from) + put + text.slice(to);

/** Ways to spoil a text; each is given two numbers and does not care what they are. */
const SPOILERS: Readonly<Record<string, (text: string, a: number, b: number) => string>> = {
  'cut off': (text, a) => text.slice(0, a % text.length),
  'a piece cut out': (text, a, b) => cut(text, a % text.length, (a % text.length) + (b % 40)),
  'a word left out': (text, a) => spoilWord(text, a, () => ''),
  'a word twice': (text, a) => spoilWord(text, a, (word) => `${word} ${word}`),
  'a word for another': (text, a, b) => spoilWord(text, a, () => wordsOf(text)[b % wordsOf(text).length]?.[0] ?? ''),
  'a word with another letter': (text, a, b) => spoilWord(text, a, (word) => cut(word, b % word.length, (b % word.length) + 1, 'x')),
  'two words the other way round': (text, a) => {
    const words = wordsOf(text);
    const [first, second] = [words[a % words.length], words[(a % words.length) + 1]];
    if (first === undefined || second === undefined) return text;
    return cut(cut(text, second.index, second.index + second[0].length, first[0]), first.index, first.index + first[0].length, second[0]);
  },
  'bytes of nowhere': (text, a, b) => cut(text, a % text.length, a % text.length, ['\u0000', '\ufffd', '\u202e', '\ud800', '//', '"', '\\', '?principal', '@', '\u{1f42e}'][b % 10]),
  'half of it again': (text, a) => text + text.slice(a % text.length),
};

function spoilWord(text: string, which: number, change: (word: string) => string): string {
  const words = wordsOf(text);
  const word = words[which % words.length];
  return word === undefined ? text : cut(text, word.index, word.index + word[0].length, change(word[0]));
}

type Spoiling = readonly [file: number, how: string, a: number, b: number];
const spoiling: fc.Arbitrary<Spoiling> = fc.tuple(fc.nat(files.length - 1), fc.constantFrom(...Object.keys(SPOILERS)), fc.nat(), fc.nat());

function spoiled([which, how, a, b]: Spoiling): PolicySources {
  const change = (file: PolicySources['schema']): PolicySources['schema'] => (file === files[which] ? { ...file, text: SPOILERS[how]?.(file.text, a, b) ?? file.text } : file);
  return { schema: change(example.schema), policies: example.policies.map(change) };
}

describe('a policy set that is spoiled in any way', () => {
  const engine = createCedarEngine(compilePolicies(example));
  const before = { version: engine.version, answers: QUESTIONS.map((one) => engine.decide(one).result) };

  it('is refused with a PolicyError that names a file, or else is a set that says in its version that it is another', () => {
    let refused = 0;
    let compiled = 0;
    fc.assert(
      fc.property(spoiling, (how) => {
        const sources = spoiled(how);
        try {
          const set = compilePolicies(sources);
          compiled += 1;
          const other = createCedarEngine(set);
          const answers = QUESTIONS.map((one) => other.decide(one));
          const opened = answers.filter(({ result }, index) => result === 'permit' && before.answers[index] !== 'permit');
          // What it permits beyond the original it permits as a set that compiled: under another version, by a policy it names.
          for (const { policies, policyVersion, fault } of opened) {
            expect(policyVersion).not.toBe(before.version);
            expect(policies.length).toBeGreaterThan(0);
            expect(fault).toBeNull();
          }
          if (set.version === before.version) expect(answers.map(({ result }) => result)).toEqual(before.answers);
        } catch (error) {
          if (!(error instanceof PolicyError)) throw error;
          refused += 1;
          expect(files.map(({ file }) => file)).toContain(error.file);
          expect(error.message.length).toBeGreaterThan(error.file.length + 5);
          // What people are told is not more fragile than what refuses.
          expect(lintPolicies(sources).some(({ level, file }) => level === 'error' && file !== '')).toBe(true);
        }
      }),
      { numRuns: 60, examples: files.map((_, which): [Spoiling] => [[which, 'bytes of nowhere', 0, 3]]) },
    );
    // Both happened, or nothing was tried.
    expect(refused).toBeGreaterThan(15);
    expect(compiled).toBeGreaterThan(0);
    expect(before.answers.filter((result) => result === 'permit').length).toBeGreaterThan(2);
  }, 60_000);
});

describe('a policy folder that is spoiled under a running broker', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'mayfly-malformed-'));
    cpSync(DIRECTORY, folder, { recursive: true });
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('keeps the good set in force, with every answer it gave, and says in which file the fault is', () => {
    const changes: PolicyChange[] = [];
    const live = new LivePolicies({ directory: folder, intervalMs: 60_000, onChange: (change) => void changes.push(change) });
    const good = live.version;
    const answers = QUESTIONS.map((one) => live.decide(one).result);
    fc.assert(
      fc.property(spoiling, (how) => {
        const sources = spoiled(how);
        for (const { file, text } of [sources.schema, ...sources.policies]) writeFileSync(join(folder, file.slice(DIRECTORY.length)), text);
        let loads = true;
        try {
          loadPolicies(folder);
        } catch {
          loads = false;
        }
        fc.pre(!loads);
        changes.length = 0;
        live.reload();
        expect(changes).toMatchObject([{ type: 'refused', inForce: good, error: { name: 'PolicyError', message: expect.stringContaining(folder) } }]);
        expect(live.version).toBe(good);
        expect(QUESTIONS.map((one) => live.decide(one).result)).toEqual(answers);
      }),
      { numRuns: 8 },
    );
  }, 60_000);

  it('takes a spoiled set that truly compiles, and says so (control)', () => {
    const changes: PolicyChange[] = [];
    const live = new LivePolicies({ directory: folder, intervalMs: 60_000, onChange: (change) => void changes.push(change) });
    writeFileSync(join(folder, 'ceilings.cedar'), example.policies.find(({ file }) => file.endsWith('ceilings.cedar'))?.text.replace('3600', '36000') ?? '');
    live.reload();
    expect(changes).toMatchObject([{ type: 'reloaded', changed: ['ttl-one-hour'] }]);
    expect(live.decide(question({ ttl: 3_601 })).result).toBe('permit');
  });
});
