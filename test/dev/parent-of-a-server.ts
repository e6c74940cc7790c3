import { spawn } from 'node:child_process';
import { runServer } from '../../dev/run-server.ts';

/** A supervisor in small: starts one long-lived process, guarded or not, says its pid, and waits to be killed. */
const [guarded, directory = ''] = process.argv.slice(2);
const args = ['600'];
const pid =
  guarded === 'guarded'
    ? (await runServer({ command: 'sleep', args, env: { PATH: process.env['PATH'] ?? '' }, cwd: directory, logFile: `${directory}/log`, stopSignal: 'SIGTERM' }, () => Promise.resolve(true))).pid
    : spawn('sleep', args, { cwd: directory, detached: true, stdio: 'ignore' }).pid;
process.stdout.write(`${pid ?? 0}\n`);
setInterval(() => undefined, 60_000);
