import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { PROBLEMS, type ProblemCode } from '../../src/core/problem.ts';
import { problemsOf } from '../../src/http/openapi/operation.ts';
import { OPERATIONS } from '../../src/http/openapi/operations.ts';

const ROOT = join(import.meta.dirname, '../..');
const DOC = readFileSync(join(ROOT, 'docs/problems.md'), 'utf8');
const rows = [...DOC.matchAll(/^\| `(\w+)` \| (\d+) \| (yes|no) \| .{20,} \|$/gm)];
const codes = Object.keys(PROBLEMS) as ProblemCode[];

const sources = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts'))
  .map((path) => readFileSync(join(ROOT, 'src', path), 'utf8'))
  .join('\n');

describe('docs/problems.md', () => {
  it('explains every problem, and none that does not exist', () => {
    expect(rows.map((row) => row[1]).sort()).toEqual(codes.toSorted());
  });

  it('has no row of another form, which would not be compared', () => {
    const all = DOC.split('\n').filter((line) => line.startsWith('|')).slice(2);
    expect(all.filter((line) => !rows.some((row) => row[0] === line))).toEqual([]);
  });

  it('gives each its true status and whether to retry', () => {
    const documented = rows.map(([, code, status, retry]) => [code, Number(status), retry === 'yes']);
    const actual = Object.entries(PROBLEMS).map(([code, problem]) => [code, problem.status, problem.retryable]);
    expect(documented).toEqual(expect.arrayContaining(actual));
  });
});

describe('the table of problems', () => {
  it('holds none that nothing raises', () => {
    // Itself, or as a class of its own.
    const raises = ['new Problem', 'super'];
    expect(codes.filter((code) => !raises.some((raise) => sources.includes(`${raise}('${code}'`)))).toEqual([]);
  });

  it('holds none that no operation is described to answer, but for what is said of paths and methods that are not there', () => {
    const described = new Set(OPERATIONS.flatMap((operation) => [...problemsOf(operation)]));
    expect(codes.filter((code) => !described.has(code))).toEqual(['method_not_allowed']);
  });
});
