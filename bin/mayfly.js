#!/usr/bin/env node
// Starts the command line on a Node that can run it: this project's own where it is installed, else the one that runs this.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const at = (path) => fileURLToPath(new URL(path, import.meta.url));
const own = at('../node_modules/.bin/node');
const node = existsSync(own) ? own : process.execPath;
const source = at('../src/cli/mayfly-cli.ts');
const entry = existsSync(source) ? source : at('../dist/cli/mayfly-cli.js');

const child = spawn(node, ['--disable-warning=ExperimentalWarning', entry, ...process.argv.slice(2)], { stdio: 'inherit' });
// A terminal sends its signals to both; one sent to this process alone must reach the child too.
for (const signal of ['SIGTERM', 'SIGHUP', 'SIGUSR2']) process.on(signal, () => child.kill(signal));
process.on('SIGINT', () => undefined);
child.on('exit', (code, signal) => {
  if (signal !== null) {
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  } else process.exit(code ?? 1);
});
