import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError, loadConfig, type ConfigFault, type LoadOptions } from '../../src/config/load-config.ts';

/** A right configuration for production; the numbers of its lines are what the tests expect. */
export const RIGHT = `deployment_id: test
identity:
  audience: https://mayfly.test
  issuers:
    - issuer: https://issuer.test
  trust_domains:
    - name: example.org
      bundle_file: bundle.json
operators:
  issuer: https://login.test
  audience: mayfly-operators
redis:
  url: redis://redis.test:6379
policy:
  directory: policies
audit:
  file: audit.jsonl
keys:
  ledger_seal_file: seal
providers:
  vault-main:
    type: vault
    address: https://vault.test:8200
    login:
      api: { method: token_file, file: api-token }
      worker: { method: token_file, file: worker-token }
      reconciler: { method: token_file, file: reconciler-token }
  tokens:
    type: jwt
    issuer: https://mayfly.test
    signing_key_files: [signing.pem]
credentials:
  orders-db:
    kind: vault.dynamic
    provider: vault-main
    owner: team-orders
    token_role: mayfly-orders-db
    path: database/creds/orders-reader
  task-token:
    kind: jwt
    provider: tokens
    owner: team-payments
    audience: https://payments.test
`;

/** A file of its own in a folder of its own, for as long as `use` runs. */
export function withConfigFile<T>(text: string, use: (path: string, folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'mayfly-config-'));
  try {
    const path = join(folder, 'mayfly.yaml');
    writeFileSync(path, text);
    return use(path, folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

export const load = (text: string, env: LoadOptions['env'] = {}): ReturnType<typeof loadConfig> => withConfigFile(text, (path) => loadConfig({ path, env }));

/** The faults of a configuration; none where it loads. */
export function faultsOf(text: string, env: LoadOptions['env'] = {}): readonly ConfigFault[] {
  return faultsFrom(() => load(text, env));
}

export function faultsFrom(attempt: () => unknown): readonly ConfigFault[] {
  try {
    attempt();
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.faults;
    throw error;
  }
}

/** The right configuration with one piece of text replaced. Throws where the text is not there. */
export function changed(from: string, to: string, base = RIGHT): string {
  if (!base.includes(from)) throw new Error(`the configuration has no ${from}`);
  return base.replace(from, to);
}
