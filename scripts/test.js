// `npm test`: installs what is missing, checks style and types, runs every test on real servers, and closes with the counts.
// With arguments only Jest runs, and gets them: `npm test -- test/policy`.
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { bootstrap, ownNode, ROOT, toolEnvironment } from './bootstrap.js';
import { processesOf } from './run-processes.js';

/** Servers of a test that has just ended may still be on their way out. */
const GRACE_MS = 5_000;
/** Caches that Jest and Node put into the temporary folder. */
const CACHES = /^(jest|node-compile-cache|v8-compile-cache|haste-map)/;

const mark = `MAYFLY_TEST_RUN=${randomUUID()}`;
let temp = '';
let interrupted = false;

try {
  const missing = await bootstrap({ forTests: true });
  for (const part of missing) process.stderr.write(`missing: ${part}\n`);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, interrupt);
  const scratch = join(ROOT, '.mayfly/test');
  mkdirSync(scratch, { recursive: true, mode: 0o755 });
  temp = mkdtempSync(join(scratch, 'run-'));
  await runAll(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${error.message}\n\n0 passed, 1 failed, 0 skipped\n`);
  process.exitCode = 1;
} finally {
  if (temp !== '') rmSync(temp, { recursive: true, force: true });
}

async function runAll(jestArguments) {
  const failures = [];
  let passed = 0;
  const check = async (name, path, args) => {
    const startedMs = Date.now();
    if ((await node(path, args)) !== 0) return failures.push(name);
    process.stdout.write(`PASS ${name} (${((Date.now() - startedMs) / 1000).toFixed(1)} s)\n`);
    passed += 1;
  };
  if (jestArguments.length === 0) {
    await check('lint', 'eslint/bin/eslint.js', ['.', '--max-warnings', '0']);
    await check('types', 'typescript/bin/tsc', ['--noEmit']);
    await check('types of the dashboard', 'typescript/bin/tsc', ['--noEmit', '-p', 'src/dashboard']);
  }
  const cache = join(ROOT, '.mayfly/jest-cache');
  const status = await node('jest/bin/jest.js', ['--maxWorkers=2', `--cacheDirectory=${cache}`, ...jestArguments]);
  const counts = existsSync(countsFile())
    ? JSON.parse(readFileSync(countsFile(), 'utf8'))
    : { passed: 0, failed: 0, skipped: 0, skippedNames: [] };
  if (status !== 0 && counts.failed === 0) failures.push(interrupted ? 'interrupted' : `Jest ended with ${status}`);
  failures.push(...(await survivors()), ...leftovers());

  for (const name of counts.skippedNames) process.stdout.write(`skipped: ${name}\n`);
  for (const failure of failures) process.stdout.write(`FAIL ${failure}\n`);
  const failed = counts.failed + failures.length;
  process.stdout.write(`\n${counts.passed + passed} passed, ${failed} failed, ${counts.skipped} skipped\n`);
  process.exitCode = failed === 0 && counts.passed > 0 ? 0 : 1;
}

/** Runs an installed tool on the project's own Node; answers its exit code. */
async function node(path, args) {
  if (interrupted) return 1;
  const env = {
    ...process.env,
    ...toolEnvironment(),
    // Child processes of tests find the project's Node first, as npm scripts do.
    PATH: `${join(ROOT, 'node_modules/.bin')}:${process.env.PATH ?? ''}`,
    TMPDIR: temp,
    MAYFLY_TEST_RUN: mark.split('=')[1],
    MAYFLY_TEST_COUNTS: countsFile(),
  };
  const flags = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning'];
  const child = spawn(ownNode(), [...flags, join(ROOT, 'node_modules', path), ...args], { cwd: ROOT, env, stdio: ['ignore', 'inherit', 'inherit'] });
  return new Promise((resolve) => {
    child.on('error', () => resolve(1));
    child.on('exit', (code) => resolve(code ?? 1));
  });
}

function countsFile() {
  return join(temp, 'counts.json');
}

function interrupt() {
  interrupted = true;
  for (const { pid } of processesOf(mark, temp)) end(pid, 'SIGTERM');
}

/** What still runs after the tests, by name; it is killed. */
async function survivors() {
  const deadline = Date.now() + GRACE_MS;
  while (processesOf(mark, temp).length > 0 && Date.now() < deadline) await sleep(100);
  return processesOf(mark, temp).map(({ pid, command }) => {
    end(pid, 'SIGKILL');
    return `a process outlived the tests: ${pid} ${command}`;
  });
}

function leftovers() {
  const left = readdirSync(temp).filter((name) => name !== 'counts.json' && !CACHES.test(name));
  return left.length === 0 ? [] : [`temporary folders were left behind: ${left.join(', ')}`];
}

function end(pid, signal) {
  try {
    process.kill(pid, signal);
  } catch {
    // It ended by itself meanwhile.
  }
}
