// The processes of one test run, found whatever became of their parents.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { sep } from 'node:path';

/**
 * Processes that carry the run's mark in their environment or work in its folder. Servers are started with an environment
 * of their own, and some overwrite it with their title: those are known by where they work.
 * @param {string} mark as `NAME=value`
 * @param {string} folder absolute
 * @returns {{ pid: number, command: string }[]} all but this process
 */
export function processesOf(mark, folder) {
  const within = (path) => path === folder || path.startsWith(folder + sep);
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => read(() => readFileSync(`/proc/${pid}/environ`, 'utf8')).split('\0').includes(mark) || within(read(() => readlinkSync(`/proc/${pid}/cwd`))))
    .map((pid) => ({ pid: Number(pid), command: read(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8')).replaceAll('\0', ' ').trim().slice(0, 120) }));
}

/** A process may end while it is looked at, or belong to somebody else. */
function read(look) {
  try {
    return look();
  } catch {
    return '';
  }
}
