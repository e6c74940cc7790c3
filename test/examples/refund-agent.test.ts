import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { RunningBroker } from '../support/running-broker.ts';

const run = promisify(execFile);
const example = join(import.meta.dirname, '../../examples/refund-agent');
let broker: RunningBroker;
let stack: string;

beforeAll(async () => {
  broker = await RunningBroker.start();
  stack = await broker.writeDevJson();
}, 60_000);

afterAll(() => broker.stop(), 30_000);

describe('examples/refund-agent', () => {
  it('in TypeScript does its work, and its credentials are refused afterwards', async () => {
    const { stdout } = await run(process.execPath, [join(example, 'show.ts'), '--stack', stack]);
    const lines = stdout.split('\n').filter((line) => line !== '');
    expect(lines.map((line) => line.split(/ {2,}/)[0]?.trim())).toEqual(
      ['declared', 'granted', 'worked', 'extended', 'granted', 'worked', 'completed', '', '', '', 'proof', 'proof'],
    );
    expect(stdout).toMatch(/order 96 of .+ is disputed/);
    expect(stdout.match(/revoked$/gm)).toHaveLength(3);
    expect(stdout).toContain('OpenBao about the token: permission denied');
    expect(stdout).not.toContain('still works');
  }, 30_000);

  it('in Python does its work with the standard library alone, and its token is refused afterwards', async () => {
    const { stdout } = await run('python3', [join(example, 'refund_agent.py'), stack]);
    expect(stdout).toContain('shipped by Northern Post');
    expect(stdout).toContain('OpenBao about the token: 403');
  }, 30_000);

  it('says how to start a stack where there is none', async () => {
    for (const [program, args] of [[process.execPath, [join(example, 'show.ts'), '--stack', '/nowhere/dev.json']], ['python3', [join(example, 'refund_agent.py'), '/nowhere/dev.json']]] as const) {
      await expect(run(program, [...args])).rejects.toMatchObject({ stderr: expect.stringContaining('npm start') });
    }
  });
});
