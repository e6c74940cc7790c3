// `npm test`: installs what is missing, checks style and types, runs every test on real servers, and closes with the counts.
// Arguments go to Jest: `npm test -- test/policy`.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { randomUUID } from 'node:crypto';
import { bootstrap, ownNode, ROOT, toolEnvironment } from './bootstrap.js';

const run = randomUUID();
const scratch = join(ROOT, '.mayfly/test');

try {
  const missing = await bootstrap();
  for (const part of missing) process.stderr.write(`missing: ${part}\n`);
  mkdirSync(scratch, { recursive: true, mode: 0o755 });
  const temp = mkdtempSync(join(scratch, 'run-'));
  const countsFile = join(temp, 'counts.json');
  const env = {
    ...process.env,
    ...toolEnvironment(),
    // Child processes of tests find the project's Node first, as npm scripts do.
    PATH: `${join(ROOT, 'node_modules/.bin')}:${process.env.PATH ?? ''}`,
    TMPDIR: temp,
    MAYFLY_TEST_RUN: run,
    MAYFLY_TEST_COUNTS: countsFile,
  };
  const node = (args) => spawnSync(ownNode(), args, { cwd: ROOT, env, stdio: ['ignore', 'inherit', 'inherit'] }).status === 0;
  const tool = (path) => join(ROOT, 'node_modules', path);

  const checks = process.argv.length > 2 ? [] : [
    ['lint', () => node([tool('eslint/bin/eslint.js'), '.', '--max-warnings', '0'])],
    ['types', () => node([tool('typescript/bin/tsc'), '--noEmit'])],
  ];
  let passed = 0;
  const failures = [];
  for (const [name, check] of checks) {
    const startedMs = Date.now();
    if (check()) {
      passed += 1;
      process.stdout.write(`PASS ${name} (${((Date.now() - startedMs) / 1000).toFixed(1)} s)\n`);
    } else failures.push(name);
  }
  node(['--experimental-vm-modules', '--disable-warning=ExperimentalWarning', tool('jest/bin/jest.js'), '--maxWorkers=2', ...process.argv.slice(2)]);
  const counts = existsSync(countsFile) ? JSON.parse(readFileSync(countsFile, 'utf8')) : { passed: 0, failed: 1, skipped: 0, skippedNames: [] };
  const survivors = processesOfThisRun();
  for (const { pid, command } of survivors) {
    failures.push(`a process outlived the tests: ${pid} ${command}`);
    process.kill(pid, 'SIGKILL');
  }
  const left = readdirSync(temp).filter((name) => name !== 'counts.json' && !/^(jest|node-compile-cache|v8-compile-cache|haste-map)/.test(name));
  if (left.length > 0) failures.push(`temporary folders were left behind: ${left.join(', ')}`);
  rmSync(temp, { recursive: true, force: true });

  for (const name of counts.skippedNames) process.stdout.write(`skipped: ${name}\n`);
  for (const failure of failures) process.stdout.write(`FAIL ${failure}\n`);
  process.stdout.write(`\n${counts.passed + passed} passed, ${counts.failed + failures.length} failed, ${counts.skipped} skipped\n`);
  process.exitCode = counts.failed + failures.length === 0 && counts.passed > 0 ? 0 : 1;
} catch (error) {
  process.stderr.write(`${error.message}\n\n0 passed, 1 failed, 0 skipped\n`);
  process.exitCode = 1;
}

/** Processes that carry this run's mark in their environment. */
function processesOfThisRun() {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((pid) => {
      try {
        const marked = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(`MAYFLY_TEST_RUN=${run}`);
        return marked ? [{ pid: Number(pid), command: readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').slice(0, 120) }] : [];
      } catch {
        return [];
      }
    });
}
