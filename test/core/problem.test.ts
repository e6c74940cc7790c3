import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { PROBLEMS } from '../../src/core/problem.ts';

const rows = [...readFileSync(new URL('../../docs/problems.md', import.meta.url), 'utf8').matchAll(/^\| `(\w+)` \| (\d+) \| (yes|no) \| .{20,} \|$/gm)];

describe('docs/problems.md', () => {
  it('explains every problem, and none that does not exist', () => {
    expect(rows.map((row) => row[1]).sort()).toEqual(Object.keys(PROBLEMS).sort());
  });

  it('gives each its true status and whether to retry', () => {
    const documented = rows.map(([, code, status, retry]) => [code, Number(status), retry === 'yes']);
    const actual = Object.entries(PROBLEMS).map(([code, problem]) => [code, problem.status, problem.retryable]);
    expect(documented).toEqual(expect.arrayContaining(actual));
  });
});
