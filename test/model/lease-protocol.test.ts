import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { compileModel, parseVerdict, spinTools, type Verdict } from '../support/spin.ts';

const FOLDER = join(import.meta.dirname, '../../docs/model');
const MODEL = join(FOLDER, 'lease-protocol.pml');
const README = readFileSync(join(FOLDER, 'README.md'), 'utf8');
const SOURCE = readdirSync(FOLDER).filter((name) => name.endsWith('.pml')).map((name) => readFileSync(join(FOLDER, name), 'utf8')).join('\n');

const withSpin = spinTools === undefined ? describe.skip : describe;
const TIMEOUT_MS = 120_000;

/** Properties that say what must come; the others say what must not be. */
const LIVENESS: readonly string[] = ['ends', 'settles'];

const HOLDS: Verdict = { errors: 0, complete: true, violation: undefined, unreached: [] };

const VARIANTS: readonly (readonly [name: string, defines: readonly string[], properties: readonly string[]])[] = [
  ['with all that can go wrong', [], ['safe', 'holds', 'settles']],
  ['where no clock of a target helps', ['WITHOUT_TARGET_CLOCK'], ['ends', 'settles']],
  ['with two workers on the same lease', ['WORKERS=2', 'FAULTS=1'], ['safe']],
];

/** Each guard left out, the property that must fail, and what else the model needs for the harm to be seen. */
const MISTAKES: readonly (readonly [mistake: string, property: string, defines?: readonly string[]])[] = [
  ['MINT_BEFORE_RECORD', 'recorded'],
  ['JOB_IS_THE_MEMORY', 'settles'],
  ['JOB_IS_THE_MEMORY', 'ends', ['WITHOUT_TARGET_CLOCK']],
  ['ACTIVATION_UNCHECKED', 'revives_nothing'],
  ['RENEWAL_UNCHECKED', 'revives_nothing'],
  ['RENEWAL_NOT_INTENDED', 'honest'],
  ['SILENCE_IS_FAILURE', 'honest'],
  ['FAILURE_IS_SWALLOWED', 'honest'],
  ['MISSING_IS_FAILURE', 'settles'],
  ['SETTLEMENT_UNCHECKED', 'once', ['WORKERS=2']],
  ['ENDED_IS_BELIEVED', 'ends', ['WITHOUT_TARGET_CLOCK']],
  ['NO_MINIMUM_AGE', 'spares_the_recorded'],
  ['NO_HOLD', 'holds'],
];

async function check(defines: readonly string[], ...properties: readonly string[]): Promise<Record<string, Verdict>> {
  await using model = await compileModel(MODEL, defines);
  const verdicts: Record<string, Verdict> = {};
  for (const property of properties) verdicts[property] = await model.check(property, { fair: LIVENESS.includes(property) });
  return verdicts;
}

withSpin('the lease protocol', () => {
  it.each(VARIANTS)('holds in every order of events, %s', async (_name, defines, properties) => {
    const expected = Object.fromEntries(properties.map((property) => [property, HOLDS]));
    expect(await check(defines, ...properties)).toEqual(expected);
  }, TIMEOUT_MS);

  it.each(MISTAKES)('would not hold with the mistake %s: refuted by %s (control)', async (mistake, property, defines = []) => {
    const verdicts = await check([`MISTAKE_${mistake}`, ...defines], property);
    expect(verdicts[property]).toMatchObject({ errors: 1, violation: LIVENESS.includes(property) ? 'cycle' : 'state' });
  }, TIMEOUT_MS);

  it('lets a job be the only memory as long as nothing fails: only a fault shows the harm', async () => {
    expect(await check(['MISTAKE_JOB_IS_THE_MEMORY', 'FAULTS=0'], 'settles')).toMatchObject({ settles: { errors: 0, complete: true } });
  }, TIMEOUT_MS);

  it('needs no minimum age where the ledger is never read behind its time', async () => {
    expect(await check(['MISTAKE_NO_MINIMUM_AGE', 'FRESH_READS'], 'safe')).toMatchObject({ safe: { errors: 0, complete: true } });
  }, TIMEOUT_MS);

  it('notices a search that was cut short (control)', () => {
    const output = 'error: max search depth too small\n\tnever claim         \t+ (safe)\nState-vector 84 byte, depth reached 9999, errors: 0\n';
    expect(parseVerdict(output, 'safe')).toMatchObject({ errors: 0, complete: false });
  });
});

describe('docs/model/README.md', () => {
  const sorted = (names: Iterable<string>): string[] => [...new Set(names)].sort();
  const mistakes = sorted([...SOURCE.matchAll(/#ifdef MISTAKE_(\w+)/g)].map(([, name = '']) => name));

  it('tells of every mistake that is planted, and each is refuted', () => {
    const told = [...README.matchAll(/^\| `([A-Z_]+)` \|/gm)].map(([, name = '']) => name);
    expect(sorted(told)).toEqual(mistakes);
    expect(sorted(MISTAKES.map(([name]) => name))).toEqual(mistakes);
  });

  it('tells of every property', () => {
    const properties = [...SOURCE.matchAll(/^ltl (\w+)/gm)].map(([, name = '']) => name).filter((name) => name !== 'safe');
    const told = [...README.matchAll(/^\| `([a-z_]+)` \| [\d, ]*\|/gm)].map(([, name = '']) => name);
    expect(sorted(told)).toEqual(sorted(properties));
  });
});
