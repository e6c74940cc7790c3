import { readdirSync, readFileSync } from 'node:fs';

/** A server and its children stand still when this answers: connections are accepted by the kernel, and nothing answers. */
export function freeze(pid: number | undefined): void {
  const stopped = signalAll(pid, 'SIGSTOP');
  // A signal is sent, not yet taken: each thread of a busy machine stops when it is next scheduled.
  while (!stopped.every(standsStill));
}
export const thaw = (pid: number | undefined): void => void signalAll(pid, 'SIGCONT');

function signalAll(pid: number | undefined, signal: 'SIGSTOP' | 'SIGCONT'): readonly number[] {
  if (pid === undefined) throw new Error('the server is not running');
  const all = [pid, ...childrenOf(pid)];
  for (const one of all) process.kill(one, signal);
  return all;
}

/** Whether every thread of a process is stopped; one that ended stands still, too. */
function standsStill(pid: number): boolean {
  try {
    return readdirSync(`/proc/${pid}/task`).every((thread) => /^[TtZX]$/.test(stateOf(`/proc/${pid}/task/${thread}/stat`)));
  } catch {
    return true;
  }
}

/** The third field of a `stat` file; the second, the name in brackets, may hold anything. */
const stateOf = (path: string): string => readFileSync(path, 'utf8').split(') ').at(-1)?.charAt(0) ?? 'X';

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
