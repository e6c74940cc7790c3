import { describe, expect, it } from '@jest/globals';
import { countByStandard } from '../../scripts/standard-counts.js';

describe('the counts by standard at the end of a run', () => {
  it('name each requirement once, and every test that names one, passed or not', () => {
    const tests = [
      { fullName: 'a SPIFFE ID SP-3: has no query', status: 'passed' },
      { fullName: 'a SPIFFE ID SP-3: has no fragment', status: 'failed' },
      { fullName: 'OAuth 8693-1.1-a: nobody impersonates', status: 'passed' },
      { fullName: 'OAuth OA-5-b: by our own records', status: 'passed' },
      { fullName: 'AuthZEN C.2.2.1 permits', status: 'passed' },
      { fullName: 'nothing of a standard, RFC 8693 apart', status: 'passed' },
    ];
    expect(countByStandard(tests)).toEqual([
      'SPIFFE: 1 requirements, 2 tests, 1 passed',
      'OAuth, RFC 6749 to 9728: 2 requirements, 2 tests, 2 passed',
      'AuthZEN 1.0: 1 requirements, 1 tests, 1 passed',
    ]);
  });

  it('are left out where no test names a requirement', () => {
    expect(countByStandard([{ fullName: 'an agent completes its task', status: 'passed' }])).toEqual([]);
  });
});
