import { expect, it } from '@jest/globals';
import { riskLevel, riskOf } from '../../src/grant/risk-of.ts';

const RATED = { read: 'low', write: 'medium', export: 'high', pay: 'critical' } as const;

it.each([
  ['nothing', [], 'low', 0],
  ['what nobody rated', ['look'], 'low', 0],
  ['what is rated', ['write'], 'medium', 1],
  ['the riskiest, wherever it stands', ['read', 'pay', 'export'], 'critical', 3],
  ['a name that every object has', ['constructor', 'write'], 'medium', 1],
] as const)('the risk of %s', (_what, actions, word, level) => {
  expect([riskOf(actions, RATED), riskLevel(actions, RATED)]).toEqual([word, level]);
});
