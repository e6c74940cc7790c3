import { describe, expect, it } from '@jest/globals';
import { devJson } from '../../dev/dev-json.ts';
import { makeAuthority } from '../../dev/make-certificate.ts';
import type { Stack } from '../../dev/stack.ts';

const stopped = { exited: new Promise<unknown>(() => undefined), stop: () => Promise.resolve() };
const issuer = (name: string) => ({
  issuer: `http://127.0.0.1/${name}`,
  audience: name,
  sign: () => Promise.resolve(''),
  rotate: () => Promise.resolve(),
  exportKey: () => Promise.resolve(''),
  stop: () => Promise.resolve(),
});
const login = { host: '127.0.0.1', port: 5, database: 'orders', username: 'openbao', password: 'x' };
const whole: Stack = {
  ...stopped,
  directory: '/run',
  configFile: '/run/mayfly.yaml',
  auditFile: '/run/audit.jsonl',
  deploymentId: 'dev-1',
  redis: { ...stopped, port: 4, pid: 1, url: 'redis://default:pw@127.0.0.1:4' },
  postgres: { ...stopped, ...login, pid: 2, adminUrl: 'postgresql://x', openbaoLogin: login },
  openbao: { ...stopped, address: 'http://127.0.0.1:6', rootToken: 'root', pid: 3 },
  aws: {
    ...stopped,
    ...{ endpoint: 'http://127.0.0.1:8', region: 'eu-central-1', pid: 9, bucket: 'reports', roleArns: [], credentialsFiles: { api: '/k', worker: '/l' } },
    root: { accessKeyId: 'AKIA', secretAccessKey: 'x' },
  },
  workloads: issuer('workloads'),
  operators: issuer('operators'),
  spiffe: {
    stop: () => undefined,
    bundleFile: '/run/bundle.json',
    caFile: '/run/ca.pem',
    broker: { certificate_file: '/m', key_file: '/n' },
    agent: { certificate_file: '/o', key_file: '/p' },
    secondAgent: { certificate_file: '/q', key_file: '/r' },
    authority: makeAuthority({}),
    bundleKeys: [],
    jwtSvid: () => Promise.resolve(''),
    writeBundle: () => Promise.resolve(),
  },
  tlsUrl: 'https://127.0.0.1:8443',
  tokenFiles: {
    agent_token_file: '/a',
    second_agent_token_file: '/b',
    orchestrator_token_file: '/c',
    viewer_token_file: '/d',
    operator_token_file: '/e',
    second_operator_token_file: '/f',
    admin_token_file: '/g',
  },
  rootTokenFile: '/run/root-token',
  adminUrlFile: '/run/admin-url',
  issuerKeyFile: '/run/issuer.pem',
};
const parts = { url: 'http://127.0.0.1:8120', metricsUrl: 'http://127.0.0.1:9120/metrics', pid: 7, logFile: '/run/broker.log' };

describe('dev.json', () => {
  it('has exactly the keys that outside checks rely on', () => {
    expect(Object.keys(devJson(whole, parts)).sort()).toEqual(
      [
        'url', 'metrics_url', 'audience', 'issuer', 'operator_issuer', 'operator_audience',
        'agent_token_file', 'second_agent_token_file', 'orchestrator_token_file', 'viewer_token_file',
        'operator_token_file', 'second_operator_token_file', 'admin_token_file',
        'broker', 'audit', 'redis_url', 'openbao', 'postgres', 'aws',
        'issuer_key_file', 'tls_url', 'tls_ca_file', 'agent_svid', 'second_agent_svid',
      ].sort(),
    );
    expect(devJson(whole, parts)).toMatchObject({
      broker: { pid: 7, config: '/run/mayfly.yaml', log: '/run/broker.log' },
      tls_url: 'https://127.0.0.1:8443',
      tls_ca_file: '/run/ca.pem',
      agent_svid: { certificate_file: '/o', key_file: '/p' },
      second_agent_svid: { certificate_file: '/q', key_file: '/r' },
      audit: { path: '/run/audit.jsonl' },
      redis_url: 'redis://default:pw@127.0.0.1:4',
      openbao: { address: 'http://127.0.0.1:6', token_file: '/run/root-token' },
      postgres: { host: '127.0.0.1', port: 5, database: 'orders', admin_url_file: '/run/admin-url' },
      aws: { endpoint: 'http://127.0.0.1:8', region: 'eu-central-1', bucket: 'reports', access_key_id: 'AKIA', secret_access_key: 'x' },
    });
  });

  it('says null of a part that is not running, and holds no root token or administrator password', () => {
    expect(devJson({ ...whole, postgres: null, openbao: null, aws: null }, parts)).toMatchObject({ postgres: null, openbao: null, aws: null });
    expect(JSON.stringify(devJson(whole, parts))).not.toMatch(/"root"|postgresql:/);
  });
});
