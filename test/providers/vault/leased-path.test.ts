import { describe, expect, it } from '@jest/globals';
import fc from '../../support/fast-check.ts';
import { fillPath, fixedPart } from '../../../src/providers/vault/leased-path.ts';

describe('a leased path', () => {
  it.each(['..', '.', '', 'a/b', 'a\\b', '../../sys/seal', 'a\nb'])('refuses %j, which would not stay one segment', (value) => {
    expect(() => fillPath('kv/{team}/creds', { team: value })).toThrow(RangeError);
  });

  it('keeps every value it takes inside one segment, as the target reads it', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 40 }), (value) => {
        let path: string;
        try {
          path = fillPath('kv/{team}/creds', { team: value });
        } catch (error) {
          // Half a surrogate pair has no encoding: URIError.
          return error instanceof RangeError || error instanceof URIError;
        }
        const { pathname } = new URL(`http://target/v1/${path}`);
        const segments = decodeURIComponent(pathname).split('/');
        return segments.length === 5 && segments[3] === value;
      }),
    );
  });

  it('refuses a parameter that was not given, and none that every object has', () => {
    expect(() => fillPath('kv/{team}', {})).toThrow('the parameter team does not make one path segment');
    expect(() => fillPath('kv/{constructor}', {})).toThrow(RangeError);
  });

  it.each([
    ['database/creds/reader', 'database/creds/reader'],
    ['database/creds/{role}', 'database/creds'],
    ['database/creds/app-{role}/x', 'database/creds'],
  ])('%s lists its leases below %s', (template, prefix) => {
    expect(fixedPart(template)).toBe(prefix);
  });
});
