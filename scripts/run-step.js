// Runs one installation at a time or several at once; what they print goes to a log and is shown only when they fail.
import { spawn } from 'node:child_process';
import { createWriteStream, mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const LOGS = join(ROOT, '.mayfly/logs');

const running = new Set();
let interrupted = false;

/**
 * Runs `body`. A signal ends what it installs and then lets it clean up: dying at once would leave apt's guards in place.
 * Afterwards signals mean what they meant before.
 */
export async function untilInterrupted(body) {
  const interrupt = () => {
    interrupted = true;
    for (const child of running) child.kill('SIGINT');
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
  for (const signal of signals) process.on(signal, interrupt);
  try {
    const result = await body();
    if (interrupted) throw new Error('interrupted');
    return result;
  } finally {
    for (const signal of signals) process.off(signal, interrupt);
  }
}

/**
 * Runs one installation and says how long it took.
 * @param {string} what in plain words
 * @param {string} logName below .mayfly/logs
 * @param {readonly [string, ...string[]]} command
 * @param {NodeJS.ProcessEnv} env
 * @returns {Promise<void>} rejects with the end of the log
 */
export function runStep(what, logName, [command, ...args], env = process.env) {
  if (interrupted) return Promise.reject(new Error(`${what}: interrupted`));
  const startedMs = Date.now();
  const seconds = () => ((Date.now() - startedMs) / 1000).toFixed(1);
  mkdirSync(LOGS, { recursive: true, mode: 0o700 });
  const log = join(LOGS, logName);
  process.stderr.write(`installing ${what} ...\n`);
  const patience = setInterval(() => process.stderr.write(`  still installing ${what} (${seconds()} s)\n`), 15_000);
  return new Promise((resolve, reject) => {
    const output = createWriteStream(log, { mode: 0o600 });
    const child = spawn(command, args, { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'pipe'] });
    running.add(child);
    child.stdout.pipe(output, { end: false });
    child.stderr.pipe(output, { end: false });
    child.on('error', (error) => output.write(`${error.message}\n`));
    child.on('close', (code) => {
      running.delete(child);
      clearInterval(patience);
      output.end(() => {
        if (code === 0) {
          process.stderr.write(`installed ${what} in ${seconds()} s\n`);
          return resolve();
        }
        if (interrupted) return reject(new Error(`${what}: interrupted`));
        const tail = readFileSync(log, 'utf8').trim().split('\n').slice(-15).join('\n  ');
        reject(new Error(`${what} could not be installed (see ${log}):\n  ${tail}`));
      });
    });
  });
}
