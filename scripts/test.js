// `npm test`: installs what is missing, checks style and types, runs every test on real servers, and closes with the counts.
// With arguments only Jest runs, and gets them: `npm test -- test/policy`.
import { spawn } from 'node:child_process';
import { randomInt, randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { bootstrap, ownNode, ROOT, toolEnvironment } from './bootstrap.js';
import { buildPeers } from './build-peers.js';
import { processesOf } from './run-processes.js';
import { closingLines, isRed } from './test-counts.js';

/** Servers of a test that has just ended may still be on their way out. */
const GRACE_MS = 5_000;
/** Caches that Jest and Node put into the temporary folder. */
const CACHES = /^(jest|node-compile-cache|v8-compile-cache|haste-map)/;
/** More red suites than this are no accident of timing. */
const MOST_TRIED_AGAIN = 3;

const seed = process.env.MAYFLY_TEST_SEED ?? String(randomInt(2 ** 31));
const mark = `MAYFLY_TEST_RUN=${randomUUID()}`;
let temp = '';
let interrupted = false;

try {
  const missing = await bootstrap({ forTests: true });
  if (process.env.MAYFLY_TEST_PEERS !== undefined) missing.push(...(await buildPeers()));
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
    const types = async () => {
      await check('types', 'typescript/bin/tsc', ['--noEmit']);
      await check('types of the dashboard', 'typescript/bin/tsc', ['--noEmit', '-p', 'src/dashboard']);
    };
    // Beside each other: each keeps one core busy, and says nothing before its end.
    await Promise.all([check('lint', 'eslint/bin/eslint.js', ['.', '--max-warnings', '0']), types()]);
  }
  const first = await jest('--maxWorkers=2', ...jestArguments);
  const second = await again(first.suites.filter(isRed));
  const suites = first.suites.map((suite) => second.find(({ path }) => path === suite.path) ?? suite);
  if (first.status !== 0 && !first.suites.some(isRed)) failures.push(interrupted ? 'interrupted' : `Jest ended with ${first.status}`);
  failures.push(...(await survivors()), ...leftovers());

  const closing = closingLines(suites, { passed, failures });
  process.stdout.write(`\nproperties were tried with MAYFLY_TEST_SEED=${seed}\n${closing.join('\n')}\n`);
  process.exitCode = suites.length > 0 && !suites.some(isRed) && failures.length === 0 ? 0 : 1;
}

async function jest(...args) {
  rmSync(countsFile(), { force: true });
  const status = await node('jest/bin/jest.js', [`--cacheDirectory=${join(ROOT, '.mayfly/jest-cache')}`, ...args]);
  return { status, suites: existsSync(countsFile()) ? JSON.parse(readFileSync(countsFile(), 'utf8')) : [] };
}

/** What failed in few suites of many, alone and with the same seed: a timing that a busy machine broke passes, a fault does not. */
async function again(red) {
  if (red.length === 0 || red.length > MOST_TRIED_AGAIN || interrupted) return [];
  const paths = red.map(({ path }) => path);
  process.stdout.write(`\ntried again, alone: ${paths.join(', ')}\n`);
  const { suites } = await jest('--runInBand', '--runTestsByPath', ...paths);
  for (const { path } of suites.filter((suite) => !isRed(suite))) process.stdout.write(`FLAKY ${path}: failed above and passed alone; please report it\n`);
  return suites;
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
    MAYFLY_TEST_SEED: seed,
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
