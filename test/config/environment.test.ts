import { describe, expect, it } from '@jest/globals';
import { loadConfig } from '../../src/config/load-config.ts';
import { changed, faultsOf, load, RIGHT, withConfigFile } from './config-fixture.ts';

describe('a variable', () => {
  it('sets a number', () => {
    expect(load(RIGHT, { MAYFLY_HTTP__PORT: '0' }).http.port).toBe(0);
  });

  it('sets what the file has set', () => {
    expect(load(`${RIGHT}http: { port: 1, host: localhost }\n`, { MAYFLY_HTTP__PORT: '2' }).http).toMatchObject({ port: 2, host: 'localhost' });
  });

  it('stays text where the key is text, though it looks like a number', () => {
    expect(load(RIGHT, { MAYFLY_OPERATORS__AUDIENCE: '12345' }).operators.audience).toBe('12345');
  });

  it("sets the agent's socket by the specification's own name, unless it is said otherwise", () => {
    const named = (text: string, env: Record<string, string>): string | undefined => load(text, { SPIFFE_ENDPOINT_SOCKET: 'unix:///run/agent.sock', ...env }).workload_api.socket;
    expect(named(RIGHT, {})).toBe('unix:///run/agent.sock');
    expect(named(`${RIGHT}workload_api: { socket: "unix:///run/file.sock" }\n`, {})).toBe('unix:///run/file.sock');
    expect(named(RIGHT, { MAYFLY_WORKLOAD_API__SOCKET: 'unix:///run/own.sock' })).toBe('unix:///run/own.sock');
    expect(load(RIGHT).workload_api.socket).toBeUndefined();
  });

  it('sets true and false', () => {
    expect(load(RIGHT, { MAYFLY_OUTBOUND__ALLOW_PRIVATE_ADDRESSES: 'true' }).outbound.allow_private_addresses).toBe(true);
    expect(faultsOf(RIGHT, { MAYFLY_OUTBOUND__ALLOW_PRIVATE_ADDRESSES: 'yes' })).toEqual([
      expect.objectContaining({ where: 'MAYFLY_OUTBOUND__ALLOW_PRIVATE_ADDRESSES', line: null, detail: 'must be true or false; found "yes"' }),
    ]);
  });

  it('sets a list by JSON', () => {
    expect(load(RIGHT, { MAYFLY_OUTBOUND__ALLOW_HOSTS: '["keys.test"]' }).outbound.allow_hosts).toEqual(['keys.test']);
    expect(faultsOf(RIGHT, { MAYFLY_OUTBOUND__ALLOW_HOSTS: 'keys.test' })).toEqual([
      expect.objectContaining({ where: 'MAYFLY_OUTBOUND__ALLOW_HOSTS', key: 'outbound.allow_hosts', detail: 'must be JSON, such as ["a", "b"]' }),
    ]);
  });

  it('finds a configured name by its capitals', () => {
    const { providers } = load(RIGHT, { MAYFLY_PROVIDERS__VAULT_MAIN__ADDRESS: 'https://other.test' });
    expect(providers['vault-main']).toMatchObject({ address: 'https://other.test' });
  });

  it('adds a name that the file does not have', () => {
    const spare = JSON.stringify({ type: 'jwt', issuer: 'https://spare.test', signing_key_files: ['k.pem'] });
    expect(Object.keys(load(RIGHT, { MAYFLY_PROVIDERS__SPARE_TOKENS: spare }).providers)).toContain('spare-tokens');
  });

  it('makes a path of a file absolute like any other', () => {
    withConfigFile(RIGHT, (path, folder) => {
      expect(loadConfig({ path, env: { MAYFLY_AUDIT__FILE: 'other.jsonl' } }).audit.file).toBe(`${folder}/other.jsonl`);
    });
  });

  it('is named in the fault it causes, in the place of a line', () => {
    expect(faultsOf(RIGHT, { MAYFLY_HTTP__PORT: '99999' })).toEqual([
      { where: 'MAYFLY_HTTP__PORT', line: null, key: 'http.port', detail: 'must be at most 65535; found 99999' },
    ]);
    expect(faultsOf(RIGHT, { MAYFLY_OPERATORS__AUDIENCE: 'https://mayfly.test' })).toEqual([
      expect.objectContaining({ where: 'MAYFLY_OPERATORS__AUDIENCE', key: 'operators.audience' }),
    ]);
  });

  it.each([
    ['MAYFLY_HTTP__PROT', /did you mean MAYFLY_HTTP__PORT\?/],
    ['MAYFLY_NOPE', /Allowed here: MAYFLY_ENVIRONMENT, /],
    ['MAYFLY_PROVIDERS__VAULT_MAIN__ADRESS', /did you mean MAYFLY_PROVIDERS__VAULT_MAIN__ADDRESS\?/],
    ['MAYFLY_HTTP__PORT__X', /http\.port has no keys below it/],
    ['MAYFLY_', /is not a variable of Mayfly/],
    ['MAYFLY_HTTP__', /is not a variable of Mayfly/],
    ['MAYFLY___PROTO____X', /is not a variable of Mayfly/],
    ['MAYFLY_HTTP__CONSTRUCTOR', /is not a variable of Mayfly/],
    ['MAYFLY_http__port', /is not a variable of Mayfly/],
  ])('that is no key is refused: %s', (variable, detail) => {
    expect(faultsOf(RIGHT, { [variable]: '1' })).toEqual([expect.objectContaining({ where: variable, line: null, detail: expect.stringMatching(detail) as unknown })]);
  });

  it.each(['MAYFLY_CONFIG', 'MAYFLY_ADDR', 'MAYFLY_TOKEN', 'MAYFLY_TOKEN_FILE', 'MAYFLY_CERT_FILE', 'MAYFLY_KEY_FILE', 'MAYFLY_CA_FILE', 'MAYFLY_QUIET', 'MAYFLY_VERBOSE', 'MAYFLY_LOG_LEVEL', 'MAYFLY_BAO_BIN', 'MAYFLY_PG_BIN', 'MAYFLY_TEST_SEED', 'MAYFLY_TASK_ID'])(
    'with a meaning of its own is left alone: %s',
    (variable) => {
      expect(faultsOf(RIGHT, { [variable]: 'x' })).toEqual([]);
    },
  );

  it('of another program is left alone', () => {
    expect(faultsOf(RIGHT, { PATH: '/bin', HTTP__PORT: 'x', XMAYFLY_HTTP: 'x' })).toEqual([]);
  });

  it('never has its value repeated where it could be a secret', () => {
    const faults = faultsOf(RIGHT, { MAYFLY_REDIS_URL: 'http://default:hunter2@redis.test', MAYFLY_PASSWORD: 'hunter2', MAYFLY_KEYS__LEDGER_SEAL_FILE: '' });
    expect(faults.map(({ where }) => where).sort()).toEqual(['MAYFLY_KEYS__LEDGER_SEAL_FILE', 'MAYFLY_PASSWORD', 'MAYFLY_REDIS_URL']);
    expect(JSON.stringify(faults)).not.toContain('hunter2');
  });
});

describe('the URL of Redis', () => {
  const SECRET_URL = 'rediss://default:hunter2@redis.test:6379';

  it('may hold a password in the environment, and nowhere else', () => {
    expect(load(RIGHT, { MAYFLY_REDIS_URL: SECRET_URL }).redis.url).toBe(SECRET_URL);
    expect(load(RIGHT, { MAYFLY_REDIS__URL: SECRET_URL }).redis.url).toBe(SECRET_URL);
    expect(faultsOf(changed('redis://redis.test:6379', SECRET_URL))).toEqual([expect.objectContaining({ key: 'redis.url', line: 13 })]);
  });

  it('from the environment takes the place of a file', () => {
    const withFile = changed('url: redis://redis.test:6379', 'url_file: redis-url');
    expect(load(withFile, { MAYFLY_REDIS_URL: SECRET_URL }).redis).toMatchObject({ url: SECRET_URL, min_replica_acks: 0 });
    expect(load(RIGHT, { MAYFLY_REDIS__URL_FILE: '/run/redis-url' }).redis).toMatchObject({ url_file: '/run/redis-url', min_replica_acks: 0 });
  });
});
