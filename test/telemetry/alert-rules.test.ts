import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { parse, stringify } from 'yaml';
import { findPrometheus } from '../../dev/find-tools.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { ALERT_CASES, type AlertCase } from './alert-cases.ts';

const run = promisify(execFile);
const ROOT = resolve(import.meta.dirname, '../..');
const RULES = join(ROOT, 'config/prometheus/mayfly.rules.yml');
const RUNBOOKS = join(ROOT, 'docs/runbooks');
const tools = findPrometheus();

interface Rule {
  readonly alert?: string;
  readonly record?: string;
  readonly expr: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

let rules: readonly Rule[];
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mayfly-rules-'));
  rules = (parse(await readFile(RULES, 'utf8')) as { groups: { rules: Rule[] }[] }).groups.flatMap((group) => group.rules);
});
afterAll(() => rm(folder, { recursive: true }));

const alerts = (): (Rule & { readonly alert: string })[] => rules.flatMap((rule) => (rule.alert === undefined ? [] : [{ ...rule, alert: rule.alert }]));
const selector = (labels: Readonly<Record<string, string>>): string => `{${Object.entries(labels).map(([name, value]) => `${name}="${value}"`).join(',')}}`;

/** One test of promtool: which alerts of the name fire at that time. */
const asPromtool = ({ alert, every, at, series, fires }: AlertCase) => ({
  interval: every ?? '1m',
  input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
  promql_expr_test: [
    {
      expr: `ALERTS{alertname="${alert}",alertstate="firing"}`,
      eval_time: at,
      exp_samples: fires.map((labels) => ({ labels: `ALERTS${selector({ alertname: alert, alertstate: 'firing', ...labels })}`, value: 1 })),
    },
  ],
});

async function promtool(one: AlertCase): Promise<string> {
  if (tools === undefined) throw new Error('there is no promtool');
  const file = join(folder, `${Math.random()}.yml`);
  await writeFile(file, stringify({ rule_files: [RULES], evaluation_interval: one.every ?? '1m', tests: [asPromtool(one)] }));
  try {
    return (await run(tools.promtool, ['test', 'rules', file])).stdout;
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    return `${stdout}${stderr}`;
  }
}

(tools === undefined ? describe.skip : describe)('the alert rules, by promtool', () => {
  it('are rules that Prometheus takes', async () => {
    const { stdout } = await run(tools?.promtool ?? '', ['check', 'rules', RULES]);
    expect(stdout).toContain('SUCCESS');
  });

  it.each(ALERT_CASES.map((one): [string, AlertCase] => [`${one.alert} ${one.fires.length > 0 ? 'fires' : 'is silent'}: ${one.what}`, one]))('%s', async (_name, one) => {
    expect(await promtool(one)).toContain('SUCCESS');
  });

  it('would not pass with an expectation that is wrong (control)', async () => {
    const [one] = ALERT_CASES;
    if (one === undefined) throw new Error('there are no cases');
    expect(await promtool({ ...one, fires: [] })).toContain('FAILED');
  });
});

describe('each alert', () => {
  it('is tried both ways: where it fires, and where it must not', () => {
    const names = [...new Set(alerts().map(({ alert }) => alert))];
    const tried = (fires: boolean): string[] => [...new Set(ALERT_CASES.filter((one) => one.fires.length > 0 === fires).map(({ alert }) => alert))];
    expect(tried(true).sort()).toEqual(names.sort());
    expect(tried(false).sort()).toEqual(names);
  });

  it('says how bad it is, what it is, and which page to open; and each page has its alert', async () => {
    for (const { alert, labels, annotations } of alerts()) {
      expect(labels).toMatchObject({ severity: expect.stringMatching(/^(page|ticket)$/) });
      expect(annotations).toEqual({ summary: expect.any(String), description: expect.any(String), runbook_url: `docs/runbooks/${alert}.md` });
    }
    expect((await readdir(RUNBOOKS)).sort()).toEqual([...new Set(alerts().map(({ alert }) => `${alert}.md`))].sort());
  });

  it('rests on metrics that the broker has', async () => {
    const { page } = await createMetrics('0').render();
    const known = new Set([...page.matchAll(/^# TYPE (\w+) /gm)].map(([, name = '']) => name));
    const recorded = rules.flatMap(({ record }) => record ?? []);
    for (const { expr } of rules) {
      const used = [...expr.matchAll(/mayfly[a-z0-9_:]*[a-z0-9]/g)].map(([name]) => name).filter((name) => !recorded.includes(name));
      for (const name of used) expect([...known]).toContain(name.replace(/_(bucket|count|sum)$/, ''));
    }
  });
});

describe('each runbook', () => {
  it('has what somebody woken by it needs, in the same order, and leads nowhere that is not there', async () => {
    for (const { alert } of alerts()) {
      const text = await readFile(join(RUNBOOKS, `${alert}.md`), 'utf8');
      expect(text.startsWith(`# ${alert}\n`)).toBe(true);
      expect([...text.matchAll(/^## (.*)$/gm)].map(([, heading]) => heading)).toEqual(['What it means', 'How bad', 'Look here first', 'What to do', 'It is over when']);
      const severity = alerts().find((one) => one.alert === alert)?.labels?.['severity'];
      expect(text).toMatch(new RegExp(`^${severity === 'page' ? 'Page' : 'Ticket'}\\. `, 'm'));
      for (const [, link = ''] of text.matchAll(/\]\(([^)#]+)[^)]*\)/g)) await readFile(join(RUNBOOKS, link), 'utf8');
    }
  });

  it('names only commands that the program has', async () => {
    const help = new Map<string, Promise<string>>();
    const helpOf = (words: readonly string[]): Promise<string> => {
      const key = words.join(' ');
      const known = help.get(key) ?? run(join(ROOT, 'node_modules/.bin/node'), [join(ROOT, 'bin/mayfly.js'), ...words, '--help']).then(({ stdout }) => stdout);
      help.set(key, known);
      return known;
    };
    for (const { alert } of alerts()) {
      const text = await readFile(join(RUNBOOKS, `${alert}.md`), 'utf8');
      for (const [, command = ''] of text.matchAll(/\bmayfly ((?:[a-z]+ ?){1,2}(?:[^\n`#]*))/g)) {
        const words = (/^[a-z]+(?: [a-z]+)?/.exec(command)?.[0] ?? '').split(' ');
        const shown = await helpOf(words);
        // A word that is no command is shown the help of what is above it.
        expect(shown).toContain(`Usage: mayfly ${words.join(' ')}`);
        for (const [flag] of command.matchAll(/--[a-z-]+/g)) expect(`${command}\n${shown}`).toMatch(new RegExp(`\n.*${flag}\\b`));
      }
    }
  }, 60_000);
});
