import { mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { stringify } from 'yaml';
import { freePort, runServer } from '../../dev/run-server.ts';

/** The alert rules as they are shipped. */
export const RULES_FILE = resolve(import.meta.dirname, '../../config/prometheus/mayfly.rules.yml');

export interface Alert {
  readonly state: 'pending' | 'firing';
  readonly labels: Readonly<Record<string, string>>;
}

export interface PrometheusServer {
  /** What is pending or firing now. */
  alerts(): Promise<readonly Alert[]>;
  /** How the rules fare: `ok` for each that could be evaluated. */
  ruleHealth(): Promise<readonly string[]>;
  stop(): Promise<void>;
}

/** A Prometheus of its own on loopback that reads one metrics page every second, and judges it by the shipped rules. */
export async function startPrometheus(command: string, { directory, metricsUrl }: { readonly directory: string; readonly metricsUrl: string }): Promise<PrometheusServer> {
  const home = join(directory, 'prometheus');
  await mkdir(home, { mode: 0o700 });
  const { host, pathname } = new URL(metricsUrl);
  const config = {
    global: { scrape_interval: '1s', evaluation_interval: '1s' },
    rule_files: [RULES_FILE],
    scrape_configs: [{ job_name: 'mayfly', metrics_path: pathname, static_configs: [{ targets: [host] }] }],
  };
  await writeFile(join(home, 'prometheus.yml'), stringify(config));
  const url = `http://127.0.0.1:${await freePort()}`;
  const args = [`--config.file=${join(home, 'prometheus.yml')}`, `--storage.tsdb.path=${join(home, 'data')}`, `--web.listen-address=${new URL(url).host}`];
  const server = await runServer({ command, args, env: { PATH: process.env['PATH'] ?? '' }, cwd: home, logFile: join(home, 'log'), stopSignal: 'SIGTERM' }, () =>
    fetch(`${url}/-/ready`).then(({ ok }) => ok, () => false),
  );
  const ask = async <Data>(what: string): Promise<Data> => ((await (await fetch(`${url}/api/v1/${what}`)).json()) as { data: Data }).data;
  return {
    alerts: async () => (await ask<{ alerts: Alert[] }>('alerts')).alerts,
    ruleHealth: async () => (await ask<{ groups: { rules: { health: string }[] }[] }>('rules')).groups.flatMap(({ rules }) => rules.map(({ health }) => health)),
    stop: () => server.stop(),
  };
}
