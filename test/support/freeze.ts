import { readdirSync, readFileSync } from 'node:fs';

/** A server and its children stand still: connections are accepted by the kernel, and nothing answers. */
export const freeze = (pid: number | undefined): void => signalAll(pid, 'SIGSTOP');
export const thaw = (pid: number | undefined): void => signalAll(pid, 'SIGCONT');

function signalAll(pid: number | undefined, signal: 'SIGSTOP' | 'SIGCONT'): void {
  if (pid === undefined) throw new Error('the server is not running');
  for (const one of [pid, ...childrenOf(pid)]) process.kill(one, signal);
}

const childrenOf = (pid: number): number[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((child) => {
      try {
        return readFileSync(`/proc/${child}/stat`, 'utf8').split(') ')[1]?.split(' ')[1] === String(pid);
      } catch {
        return false;
      }
    });
