import { chmodSync, mkdirSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import { filesOf } from '../../src/config/config-files.ts';
import { configSchema } from '../../src/config/config-schema.ts';
import { loadConfig, type ConfigFault } from '../../src/config/load-config.ts';
import { changed, faultsFrom, load, RIGHT, withConfigFile } from './config-fixture.ts';

const SECRET_FILES = ['seal', 'api-token', 'worker-token', 'reconciler-token', 'signing.pem'];

/** The faults found with all files in place, but for what `spoil` does to them. */
function spoiled(spoil: (file: (name: string) => string) => void, text = RIGHT): readonly ConfigFault[] {
  return withConfigFile(text, (path, folder) => {
    const file = (name: string): string => join(folder, name);
    mkdirSync(file('policies'));
    writeFileSync(file('bundle.json'), '{"keys":[]}', { mode: 0o644 });
    for (const name of SECRET_FILES) writeFileSync(file(name), 'x'.repeat(32), { mode: 0o600 });
    spoil(file);
    return faultsFrom(() => loadConfig({ path, env: {}, checkFiles: true }));
  });
}

describe('the files a configuration names', () => {
  it('are right when they are there, and closed to others (control)', () => {
    expect(spoiled(() => undefined)).toEqual([]);
  });

  it.each<[string, string, number, (file: (name: string) => string) => void, RegExp]>([
    ['a missing seal', 'keys.ledger_seal_file', 19, (file) => rmSync(file('seal')), /names .*seal, which is not there/],
    ['a missing bundle', 'identity.trust_domains.0.bundle_file', 8, (file) => rmSync(file('bundle.json')), /which is not there/],
    ['a missing login', 'providers.vault-main.login.worker.file', 26, (file) => rmSync(file('worker-token')), /which is not there/],
    ['a missing signing key', 'providers.tokens.signing_key_files.0', 31, (file) => rmSync(file('signing.pem')), /which is not there/],
    ['a missing policy folder', 'policy.directory', 15, (file) => rmSync(file('policies'), { recursive: true }), /which is not there/],
    ['a file for a folder', 'policy.directory', 15, (file) => { rmSync(file('policies'), { recursive: true }); writeFileSync(file('policies'), ''); }, /which is not a folder/],
    ['a folder for a file', 'keys.ledger_seal_file', 19, (file) => { rmSync(file('seal')); mkdirSync(file('seal')); }, /which is not a file/],
    ['an empty login', 'providers.vault-main.login.api.file', 25, (file) => truncateSync(file('api-token')), /which is empty/],
    ['a short seal', 'keys.ledger_seal_file', 19, (file) => truncateSync(file('seal'), 31), /must hold at least 32 bytes/],
    ['a secret that everybody can read', 'keys.ledger_seal_file', 19, (file) => chmodSync(file('seal'), 0o604), /which others can read or change/],
    ['a secret of ours that the group can read', 'providers.tokens.signing_key_files.0', 31, (file) => chmodSync(file('signing.pem'), 0o640), /which others can read or change/],
    ['an open secret behind a link', 'keys.ledger_seal_file', 19, (file) => { rmSync(file('seal')); writeFileSync(file('real'), 'x'.repeat(32)); chmodSync(file('real'), 0o644); symlinkSync(file('real'), file('seal')); }, /which others can read/],
  ])('are refused: %s', (_what, key, line, spoil, detail) => {
    expect(spoiled(spoil)).toEqual([expect.objectContaining({ key, line, detail: expect.stringMatching(detail) as unknown })]);
  });

  it('are not judged by their mode in development', () => {
    const local = changed('https://vault.test', 'http://127.0.0.1', changed('redis://redis.test', 'redis://127.0.0.1', `environment: development\n${RIGHT}`));
    expect(spoiled((file) => chmodSync(file('seal'), 0o644), local)).toEqual([]);
  });

  it('must be writable where they are written', () => {
    expect(spoiled(() => undefined, changed('file: audit.jsonl', 'file: nowhere/audit.jsonl'))).toEqual([expect.objectContaining({ key: 'audit.file', line: 17 })]);
  });

  it('are looked into for the URL of Redis', () => {
    const withFile = changed('url: redis://redis.test:6379', 'url_file: redis-url');
    const put = (text: string) => (file: (name: string) => string) => writeFileSync(file('redis-url'), text, { mode: 0o600 });
    expect(spoiled(put('rediss://u:p@redis.test\n'), withFile)).toEqual([]);
    expect(spoiled(put('redis.test'), withFile)).toEqual([expect.objectContaining({ key: 'redis.url_file', line: 13 })]);
  });

  it('are all told at once', () => {
    expect(spoiled((file) => ['seal', 'api-token'].forEach((name) => rmSync(file(name))))).toHaveLength(2);
  });

  it('never show a secret that was pasted in the place of its path', () => {
    const token = `hvs.${'aB3d'.repeat(8)}`;
    const faults = spoiled(() => undefined, changed('file: api-token', `file: ${token}`));
    expect(faults).toHaveLength(1);
    expect(JSON.stringify(faults)).not.toContain(token);
  });

  it('are every path that the schema knows', () => {
    const text = RIGHT.replace('      api: { method: token_file, file: api-token }', '      api: { method: approle, role_id_file: r, secret_id_file: s }')
      .replace('    address: https://vault.test:8200', '    address: https://vault.test:8200\n    ca_file: c')
      .replace('  ledger_seal_file: seal', '  ledger_seal_file: seal\n  checkpoint_key_files: [k]\n  receipt_key_files: [q]')
      .replace('  url: redis://redis.test:6379', '  url_file: u\n  epoch_file: e')
      .replace('policy:\n', 'policy:\n  shadow_directory: s\n  external: { kind: opa, url: "https://opa.test/v1/data/mayfly/allow", token_file: t, ca_file: c }\n')
      .replace('    - issuer: https://issuer.test', '    - issuer: https://issuer.test\n      profile: kubernetes\n      token_review: { url: "https://api.test", token_file: t, ca_file: c }\n      ca_file: c')
      .concat('signals: { transmitters: [{ issuer: "https://idp.test", audience: a, ca_file: c }] }\n')
      .concat('telemetry: { traces: { otlp_endpoint: "https://collector.test", headers_file: h, ca_file: c } }\n')
      .concat('webhooks: [{ name: w, url: "https://hooks.test", events: ["*"], secret_files: [s], ca_file: c }]\n')
      .concat('notices: [{ name: n, kind: webhook, url_file: u, secret_file: s }]\n')
      .replace('operators:\n', '  users: { issuer: https://users.test, audience: consent, ca_file: c }\noperators:\n')
      .replace('  audience: mayfly-operators', '  audience: mayfly-operators\n  ca_file: c\n  sign_in: { client_id: d, client_secret_file: s }')
      .concat('http: { public_url: "https://broker.test" }\n')
      .concat('oauth: { clients: [{ client_id: c, workload: { issuer: "https://issuer.test", subject: a }, jwks_file: k }] }\n')
    const shapeOf = (key: readonly (string | number)[]): string => key.filter((part) => typeof part === 'string' && !['tokens', 'tokens-of-aws', 'vault-main', 'api', 'worker', 'reconciler'].includes(part)).join('.');
    const withTokens = text.replace('worker: { method: token_file, file: worker-token }', 'worker: { method: jwt, role: w, jwt_file: j }')
      .replace('api: { method: approle, role_id_file: r, secret_id_file: s }', 'api: { method: kubernetes, role: a }');
    const withKey = text.replace('client_secret_file: s', 'client_key_file: k');
    const withAws = RIGHT.replace('  tokens:', '  tokens-of-aws:\n    type: aws-sts\n    region: eu-central-1\n    login: { api: { method: credentials_file, credentials_file: f }, worker: { method: web_identity, role_arn: "arn:aws:iam::111122223333:role/w", token_file: t } }\n  tokens:');
    const domain = '    - { name: web.org, bundle_endpoint: { profile: https_web, url: "https://web.org/b", ca_file: c } }\n    - { name: own.org, bundle_endpoint: { profile: https_spiffe, url: "https://own.org/b", endpoint_spiffe_id: "spiffe://own.org/b", bootstrap_file: b } }\n';
    const withSpiffe = RIGHT.replace('operators:', `${domain}tls: { certificate: { source: files, certificate_file: c, key_file: k } }\noperators:`);
    const found = new Set([text, withTokens, withKey, withAws, withSpiffe].flatMap((each) => filesOf(load(each)).map(({ key }) => shapeOf(key))));
    expect([...found].sort()).toEqual([...pathKeys(z.toJSONSchema(configSchema, { io: 'input' }), [])].sort());
  });
});

/** Keys of the schema that, by their name, hold paths. */
function pathKeys(schema: unknown, above: readonly string[]): Set<string> {
  const found = new Set<string>();
  if (typeof schema !== 'object' || schema === null) return found;
  const { properties, ...rest } = schema as { properties?: Record<string, unknown> };
  for (const [name, inner] of Object.entries(properties ?? {})) {
    if (/(^|_)(file|files|directory)$/.test(name)) found.add([...above, name].join('.'));
    for (const key of pathKeys(inner, ['api', 'worker', 'reconciler'].includes(name) ? above : [...above, name])) found.add(key);
  }
  for (const inner of Object.values(rest)) for (const key of pathKeys(inner, above)) found.add(key);
  return found;
}
