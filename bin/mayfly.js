#!/usr/bin/env node
// Starts the command line: here, if this Node can run it, else on the Node that is installed beside it.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import module from 'node:module';
import { fileURLToPath } from 'node:url';

const [major, minor] = process.versions.node.split('.').map(Number);
// Node 22.18 is the first that runs TypeScript without a flag and without a warning.
const fits = major >= 24 || (major === 22 && minor >= 18);
const source = new URL('../src/cli/mayfly-cli.ts', import.meta.url);
const isCheckout = existsSync(source);
const entry = isCheckout ? source : new URL('../dist/cli/mayfly-cli.js', import.meta.url);
// What Node made of the TypeScript is kept in the checkout, where only its owner writes: a shared temporary folder could be poisoned.
if (isCheckout) module.enableCompileCache?.(fileURLToPath(new URL('../.mayfly/compile-cache', import.meta.url)));

if (fits) await import(entry.href);
else runOn(installedNode());

function installedNode() {
  const require = module.createRequire(import.meta.url);
  try {
    return require.resolve(`node-${process.platform}-${process.arch}/bin/node`);
  } catch {
    process.stderr.write(`mayfly needs Node 22.18 or later, and this is ${process.versions.node}\n`);
    process.exit(1);
  }
}

function runOn(node) {
  const child = spawn(node, [fileURLToPath(entry), ...process.argv.slice(2)], { stdio: 'inherit' });
  child.on('error', (error) => {
    process.stderr.write(`mayfly cannot be started on ${node}: ${error.message}\n`);
    process.exit(1);
  });
  for (const signal of ['SIGTERM', 'SIGUSR2']) process.on(signal, () => child.kill(signal));
  // A terminal sends these to both; without one they reach this process alone, and are passed on.
  for (const signal of ['SIGINT', 'SIGHUP', 'SIGQUIT']) process.on(signal, () => process.stdin.isTTY || child.kill(signal));
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code ?? 1);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}
