import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { findSpin } from '../../dev/find-tools.ts';

const run = promisify(execFile);
/** Far more than any search here takes: a model that grew too large fails, rather than filling the machine. */
const RUN_TIMEOUT_MS = 100_000;
const MEMORY_LIMIT_MIB = 4_096;

/** Spin and gcc, or undefined where they cannot be had. */
export const spinTools = findSpin();

export interface Verdict {
  readonly errors: number;
  /** Every reachable state was visited. */
  readonly complete: boolean;
  /** How a property was violated, where one was: a state that must not be, or a cycle on which what is owed never comes. */
  readonly violation: 'state' | 'cycle' | undefined;
  /** Lines of the model that no run reaches, ends of processes apart. */
  readonly unreached: readonly string[];
}

/** A model, compiled, in a folder of its own. `using` takes it away. */
export interface CompiledModel extends AsyncDisposable {
  /** Searches all that can happen for a violation of one `ltl` property. `fair`: what can go on does, in the end. */
  check(property: string, options: { readonly fair: boolean }): Promise<Verdict>;
}

/** Compiles a Promela model with these macros defined, as `NAME` or `NAME=value`. Throws where it is not valid. */
export async function compileModel(path: string, defines: readonly string[]): Promise<CompiledModel> {
  if (spinTools === undefined) throw new Error('there is no Spin');
  const cwd = await mkdtemp(join(tmpdir(), 'mayfly-model-'));
  const within = { cwd, timeout: RUN_TIMEOUT_MS };
  const remove = (): Promise<void> => rm(cwd, { recursive: true });
  try {
    await run(spinTools.spin, ['-a', ...defines.map((define) => `-D${define}`), path], within);
    // Fairness takes two bits for each process: three bytes are enough for ours.
    await run(spinTools.gcc, ['-O1', '-w', '-DNFAIR=3', `-DMEMLIM=${MEMORY_LIMIT_MIB}`, '-o', 'pan', 'pan.c'], within);
  } catch (error) {
    await remove();
    throw error;
  }
  return {
    async check(property, { fair }) {
      const { stdout } = await run(join(cwd, 'pan'), ['-a', ...(fair ? ['-f'] : []), '-N', property], within);
      return parseVerdict(stdout, property);
    },
    [Symbol.asyncDispose]: remove,
  };
}

/** What a search answered. Throws where it was not a search for this property. */
export function parseVerdict(output: string, property: string): Verdict {
  const errors = /errors: (\d+)/.exec(output)?.[1];
  if (errors === undefined || !output.includes(`never claim         \t+ (${property})`)) throw new Error(`no verdict on ${property}:\n${output}`);
  const unreached = [...output.matchAll(/^unreached in proctype (\w+)\n((?:\t.*\n)*)/gm)].flatMap(([, process = '', lines = '']) =>
    lines.split('\n').filter((line) => line.includes(', state ') && !line.endsWith('"-end-"')).map((line) => `${process}: ${line.trim()}`),
  );
  return {
    errors: Number(errors),
    complete: !/Search not completed|max search depth too small|out of memory/.test(output),
    violation: output.includes('assertion violated') ? 'state' : output.includes('acceptance cycle (') ? 'cycle' : undefined,
    unreached,
  };
}
