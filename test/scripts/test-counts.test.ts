import { describe, expect, it } from '@jest/globals';
import { closingLines, isRed } from '../../scripts/test-counts.js';

const suite = (path: string, statuses: readonly string[], broken = false) => ({ path, broken, tests: statuses.map((status, index) => ({ fullName: `${path} ${index}`, status })) });

describe('the lines that close a run', () => {
  it('count tests, files that did not load, and the checks beside Jest; the last line is the counts', () => {
    const suites = [suite('a', ['passed', 'passed', 'pending']), suite('b', ['failed', 'todo']), suite('c', [], true)];
    expect(closingLines(suites, { passed: 2, failures: ['lint'] })).toEqual(['skipped: a 2', 'skipped: b 1', 'FAIL lint', '4 passed, 3 failed, 2 skipped']);
    expect(closingLines([suite('a', ['passed'])])).toEqual(['1 passed, 0 failed, 0 skipped']);
  });

  it('say which requirements of a standard were tried', () => {
    expect(closingLines([{ path: 'a', broken: false, tests: [{ fullName: 'SP-3: has no query', status: 'passed' }] }])).toEqual([
      'by the standard whose requirement a test names:',
      '  SPIFFE: 1 requirements, 1 tests, 1 passed',
      '',
      '1 passed, 0 failed, 0 skipped',
    ]);
  });

  it('a suite is red by a failed test, or by what failed outside its tests', () => {
    expect(isRed(suite('a', ['passed', 'failed']))).toBe(true);
    expect(isRed(suite('a', ['passed'], true))).toBe(true);
    expect(isRed(suite('a', ['passed', 'pending']))).toBe(false);
  });
});
