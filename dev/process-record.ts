import { existsSync, readFileSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

/** A process that cannot be mistaken for another: pids are given out again, start times are not. */
export interface ProcessMark {
  readonly name: string;
  readonly pid: number;
  /** Clock ticks since boot, as the kernel prints them. */
  readonly startTime: string;
}

/** Marks a running process; undefined when there is none of this pid. */
export function markOf(name: string, pid: number): ProcessMark | undefined {
  const startTime = startTimeOf(pid);
  return startTime === undefined ? undefined : { name, pid, startTime };
}

/** Whether this very process still runs. */
export const isAlive = ({ pid, startTime }: ProcessMark): boolean => startTimeOf(pid) === startTime;

/** Writes the processes of a stack down, so that a later start can end what a killed one left behind. */
export async function writeProcesses(file: string, processes: readonly ProcessMark[]): Promise<void> {
  await writeFile(file, JSON.stringify(processes), { mode: 0o600 });
}

/** What an earlier start wrote down; nothing where there is no such file, or half of one. */
export function readProcesses(file: string): readonly ProcessMark[] {
  if (!existsSync(file)) return [];
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as ProcessMark[];
  } catch {
    return [];
  }
}

/**
 * Waits until none of the processes runs any more; those that still do after `graceMs` are killed. Removes the file.
 * Their data is thrown away anyhow, so nothing is lost by it.
 */
export async function endProcesses(file: string, graceMs: number): Promise<void> {
  const processes = readProcesses(file);
  const deadline = performance.now() + graceMs;
  while (processes.some(isAlive) && performance.now() < deadline) await sleep(50);
  for (const left of processes.filter(isAlive)) process.kill(left.pid, 'SIGKILL');
  while (processes.some(isAlive)) await sleep(20);
  await rm(file, { force: true });
}

/** Field 22 of /proc/<pid>/stat (proc(5)); undefined when there is no such process, or only its exit status is left. */
function startTimeOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The command's name stands in parentheses and may itself contain any of them.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}
