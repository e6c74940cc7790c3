import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { findGo } from '../../dev/find-tools.ts';

const go = findGo();
const DASHBOARD = join(import.meta.dirname, '../../config/grafana/mayfly.json');

(go === undefined ? describe.skip : describe)("the dashboard, by Grafana's own schema", () => {
  let directory: string;
  let program: string;
  const faultsOf = (file: string): string => execFileSync(program, [file], { encoding: 'utf8' });

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'mayfly-grafana-'));
    program = join(directory, 'dashboard-schema');
    execFileSync(go ?? '', ['build', '-o', program, '.'], { cwd: join(import.meta.dirname, 'dashboard-schema'), stdio: 'pipe' });
  }, 600_000);
  afterAll(() => rm(directory, { recursive: true, force: true }));

  it('has all that it must have, and nothing that Grafana does not know', () => {
    expect(faultsOf(DASHBOARD)).toBe('');
  });

  it('would be told what is wrong (control)', async () => {
    const board = JSON.parse(await readFile(DASHBOARD, 'utf8')) as { panels: { options: object; targets: { expr: unknown }[] }[] };
    const [panel] = board.panels;
    Object.assign(panel?.options ?? {}, { colour: 'red' });
    Object.assign(panel?.targets[0] ?? {}, { expr: 7 });
    await writeFile(join(directory, 'wrong.json'), JSON.stringify({ ...board, panels: board.panels, refreshed: true }));
    const told = faultsOf(join(directory, 'wrong.json'));
    for (const fault of ['refreshed', 'colour', 'expr']) expect(told).toContain(fault);
  });
});
