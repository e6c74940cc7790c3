import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { findPrometheus } from '../../dev/find-tools.ts';
import { freeze, thaw } from '../support/freeze.ts';
import { RULES_FILE, startPrometheus, type PrometheusServer } from '../support/prometheus-server.ts';
import { RunningBroker } from '../support/running-broker.ts';
import { until } from '../support/until.ts';

const GRAFANA_FILE = resolve(import.meta.dirname, '../../config/grafana/mayfly.json');
const tools = findPrometheus();

let broker: RunningBroker;

beforeAll(async () => {
  broker = await RunningBroker.start();
}, 60_000);
afterAll(() => broker.stop(), 30_000);

it.each([
  ['the alert rules', RULES_FILE],
  ['the panels of the Grafana dashboard', GRAFANA_FILE],
])('a running broker has every metric that %s name', async (_name, file) => {
  const page = await broker.metrics();
  const known = new Set([...page.matchAll(/^# TYPE (\w+) /gm)].map(([, name = '']) => name));
  const used = [...(await readFile(file, 'utf8')).matchAll(/\bmayfly_[a-z_]+/g)].map(([name]) => name.replace(/_(bucket|count|sum)$/, ''));
  expect(used.length).toBeGreaterThan(20);
  expect(used.filter((name) => !known.has(name))).toEqual([]);
});

(tools === undefined ? describe.skip : describe)('a Prometheus that reads a running broker', () => {
  let prometheus: PrometheusServer;
  beforeAll(async () => {
    prometheus = await startPrometheus(tools?.prometheus ?? '', { directory: broker.stack.directory, metricsUrl: broker.metricsUrl });
  }, 30_000);
  afterAll(() => prometheus.stop(), 30_000);

  const raised = async (): Promise<string[]> => (await prometheus.alerts()).map(({ labels }) => [labels['alertname'], labels['name']].join(' '));

  it('has no alarm while all is well, and raises one while OpenBao does not answer', async () => {
    const grant = await broker.grant(['vault-token']);
    await broker.complete(grant);
    const evaluated = async (): Promise<boolean> => (await prometheus.ruleHealth()).every((health) => health === 'ok');
    await until(evaluated, { timeoutMs: 20_000, everyMs: 200, what: 'every rule is evaluated' });
    // Before its first look at the broker, it takes it for gone.
    await until(async () => (await raised()).length === 0, { timeoutMs: 20_000, everyMs: 200, what: 'no alarm' });

    freeze(broker.stack.openbao?.pid);
    try {
      await until(async () => (await raised()).includes('MayflyProviderDown vault-main'), { timeoutMs: 30_000, everyMs: 200, what: 'the alarm' });
    } finally {
      thaw(broker.stack.openbao?.pid);
    }
    await until(async () => !(await raised()).includes('MayflyProviderDown vault-main'), { timeoutMs: 30_000, everyMs: 200, what: 'its end' });
  }, 120_000);
});
