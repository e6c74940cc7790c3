import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

interface CpuProfile {
  readonly nodes: readonly { readonly id: number; readonly callFrame: { readonly functionName: string; readonly url: string } }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

/** Where a process spent its busy time: a share of it (0 to 1) for each package or part, largest first. */
export async function busyShares(folder: string): Promise<{ readonly part: string; readonly share: number }[]> {
  const file = (await readdir(folder)).find((name) => name.endsWith('.cpuprofile'));
  if (file === undefined) return [];
  const profile = JSON.parse(await readFile(join(folder, file), 'utf8')) as CpuProfile;
  const partOfNode = new Map(profile.nodes.map(({ id, callFrame }) => [id, partOf(callFrame.functionName, callFrame.url)]));
  const micros = new Map<string, number>();
  for (const [index, id] of profile.samples.entries()) {
    const part = partOfNode.get(id) ?? 'unknown';
    micros.set(part, (micros.get(part) ?? 0) + (profile.timeDeltas[index] ?? 0));
  }
  for (const idle of ['(idle)', '(root)', 'start-up']) micros.delete(idle);
  const busy = [...micros.values()].reduce((sum, value) => sum + value, 0);
  return [...micros].map(([part, value]) => ({ part, share: value / busy })).sort((a, b) => b.share - a.share);
}

/** Which part of a grant a stack frame belongs to. */
function partOf(functionName: string, url: string): string {
  if (functionName === '(garbage collector)') return 'garbage collection';
  if (functionName === '(idle)' || functionName === '(root)') return functionName;
  if (functionName === '(program)') return 'native code';
  const dependency = /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1];
  if (url.startsWith('wasm:') || dependency === '@cedar-policy/cedar-wasm') return 'policy (cedar)';
  if (dependency !== undefined) return dependency;
  const own = /\/src\/([a-z-]+)/.exec(url)?.[1];
  if (own !== undefined) return `mayfly ${own}`;
  if (/node:internal\/(modules|bootstrap|main)/.test(url)) return 'start-up';
  if (url.startsWith('node:')) return `node ${/^node:(?:internal\/)?([a-z_]+)/.exec(url)?.[1] ?? ''}`;
  return 'native code';
}
