import { execFile } from 'node:child_process';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createCedarEngine } from '../../src/policy/cedar-engine.ts';
import { loadPolicies } from '../../src/policy/load-policies.ts';
import { policyCoverage, type PolicyCoverage } from '../../src/policy/policy-coverage.ts';
import { testFilesOf, testPolicies } from '../../src/policy/test-policies.ts';
import { DIRECTORY } from './policy-fixture.ts';

const LAUNCHER = join(import.meta.dirname, '../../bin/mayfly.js');
const run = promisify(execFile);

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mayfly-coverage-'));
  await cp(DIRECTORY, folder, { recursive: true });
});
afterEach(() => rm(folder, { recursive: true, force: true }));

function coverageOf(directory: string): PolicyCoverage {
  const compiled = loadPolicies(directory);
  const engine = createCedarEngine(compiled);
  return policyCoverage(compiled, testFilesOf(directory).flatMap((file) => testPolicies(engine, file)));
}
const missing = ({ policies }: PolicyCoverage): string[] => policies.filter(({ cases }) => cases.length === 0).map(({ id }) => id);

describe('the coverage of policies by their cases', () => {
  it("is whole for the example: each of its policies decides some case in config/policies/tests", () => {
    const coverage = coverageOf(DIRECTORY);
    expect(missing(coverage)).toEqual([]);
    expect(coverage).toMatchObject({ percent: 100, covered: coverage.total });
  });

  it('names a policy that no case was decided by, permit or forbid, though cases were asked of it', async () => {
    await writeFile(join(folder, 'more.cedar'), `
      @id("never-reached") forbid (principal, action, resource) when { context.ttl_seconds > 100000 };
      @id("nobody") permit (principal == Mayfly::Agent::"agent:nobody", action, resource);`);
    const coverage = coverageOf(folder);
    expect(missing(coverage).sort()).toEqual(['never-reached', 'nobody']);
    expect(coverage.percent).toBeLessThan(100);
  });

  it('takes a policy for covered only by a case that passed', async () => {
    await writeFile(join(folder, 'more.cedar'), '@id("closed") forbid (principal, action, resource);');
    await writeFile(join(folder, 'tests/more.yaml'), 'cases: [{name: open, ask: {agent: a, credential: c, purpose: data-export, actions: [read]}, expect: permit}]');
    const only = { ...loadPolicies(folder), effects: new Map([['closed', 'forbid' as const]]) };
    const results = testPolicies(createCedarEngine(only), join(folder, 'tests/more.yaml'));
    expect(results).toMatchObject([{ ok: false, policies: ['closed'] }]);
    expect(policyCoverage(only, results)).toMatchObject({ covered: 0, percent: 0 });
  });

  it('is told by `mayfly policy test`, which fails below what is asked for', async () => {
    await writeFile(join(folder, 'more.cedar'), '@id("nobody") permit (principal == Mayfly::Agent::"agent:nobody", action, resource);');
    const test = (...args: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> =>
      run(process.execPath, [LAUNCHER, 'policy', 'test', folder, ...args], { env: { PATH: process.env['PATH'] ?? '' } }).then(
        (ended) => ({ code: 0, ...ended }),
        (error: unknown) => error as { code: number; stdout: string; stderr: string },
      );
    expect(await test('--min', '100')).toMatchObject({ code: 1, stdout: expect.stringContaining('nobody: no case was decided by this permit'), stderr: expect.stringMatching(/9\d % of the policies decided some case, less than 100 %/) });
    const { code, stdout } = await test('--coverage', '--json');
    expect(code).toBe(0);
    const { coverage } = JSON.parse(stdout) as { coverage: PolicyCoverage };
    expect(missing(coverage)).toEqual(['nobody']);
    expect(coverage.policies.find(({ id }) => id === 'ttl-one-hour')?.cases).toEqual(['anything for more than an hour']);
    expect(await test('--min', 'all')).toMatchObject({ code: 2 });
  }, 30_000);
});
