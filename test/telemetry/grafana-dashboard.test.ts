import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { stringify } from 'yaml';
import { findPrometheus } from '../../dev/find-tools.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';

const run = promisify(execFile);
const tools = findPrometheus();

interface Dashboard {
  readonly uid: string;
  readonly templating: { readonly list: readonly { readonly name: string; readonly type: string; readonly query: unknown }[] };
  readonly panels: readonly { readonly id: number; readonly title: string; readonly datasource: { readonly uid: string }; readonly targets: readonly { readonly expr: string }[] }[];
}
const dashboard = JSON.parse(await readFile(resolve(import.meta.dirname, '../../config/grafana/mayfly.json'), 'utf8')) as Dashboard;
const queries = dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr.replaceAll('$namespace', '.*')));

/** What promtool says of queries, each as a rule of its own. */
async function parsed(exprs: readonly string[]): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'mayfly-grafana-'));
  try {
    const file = join(folder, 'queries.yml');
    await writeFile(file, stringify({ groups: [{ name: 'panels', rules: exprs.map((expr, index) => ({ record: `panel:${index}`, expr })) }] }));
    return await run(tools?.promtool ?? '', ['check', 'rules', file]).then(({ stdout }) => stdout, (error: unknown) => (error as { stderr: string }).stderr);
  } finally {
    await rm(folder, { recursive: true });
  }
}

describe('the Grafana dashboard', () => {
  it('lets its data source be chosen where it stands, so that it need not be imported by hand, and has a name to be found by', () => {
    expect(dashboard).toMatchObject({ uid: 'mayfly', templating: { list: [{ name: 'datasource', type: 'datasource', query: 'prometheus' }, { name: 'namespace' }] } });
    // What is filled in on import stays as it is in a file that is provisioned, and then there is no such data source.
    expect(dashboard).not.toHaveProperty('__inputs');
    expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length);
    for (const { datasource } of dashboard.panels) expect(datasource.uid).toBe('${datasource}');
  });

  it('shows only metrics that the broker has', async () => {
    const { page } = await createMetrics('0').render();
    const known = [...page.matchAll(/^# TYPE (\w+) /gm)].map(([, name = '']) => name);
    expect(queries.length).toBeGreaterThan(15);
    for (const query of queries) {
      const used = [...query.matchAll(/mayfly_[a-z_]+/g)].map(([name]) => name.replace(/_(bucket|count|sum)$/, ''));
      expect(used.length).toBeGreaterThan(0);
      for (const name of used) expect(known).toContain(name);
    }
  });

  (tools === undefined ? it.skip : it)('has no query that Prometheus does not read', async () => {
    expect(await parsed(queries)).toContain(`SUCCESS: ${queries.length} rules found`);
    // Control: one that does not parse is told.
    expect(await parsed(['sum by (mayfly_tasks'])).toContain('could not parse expression');
  });
});
