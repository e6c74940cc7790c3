import { join, resolve } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { ConfigError, loadConfig } from '../../src/config/load-config.ts';
import { at } from '../support/at.ts';
import { changed, faultsFrom, faultsOf, load, RIGHT, withConfigFile } from './config-fixture.ts';

type Bad = readonly [what: string, text: string, line: number, key: string, detail: string | RegExp];

const withParams = (path: string, params: string): string =>
  changed('    path: database/creds/orders-reader', `    path: ${path}\n    params: ${params}`);
/** With one trust domain more. */
const domain = (text: string): string => changed('operators:', `    - ${text}\noperators:`);
const WEB = '{ profile: https_web, url: "https://a.org/b" }';
const ISSUER = '    - issuer: https://issuer.test';
const github = (text: string): string => changed(ISSUER, `${ISSUER}\n      profile: github_actions\n      ${text}`);
const kubernetes = (text: string): string => changed(ISSUER, `${ISSUER}\n      profile: kubernetes\n      ${text}`);
/** The right configuration with one more credential, on its line 40. */
const kv = (rest: string): string =>
  changed('  task-token:', `  key:\n    { kind: vault.kv, provider: vault-main, owner: o, token_role: mayfly-key, ${rest} }\n  task-token:`);
const introspection = (server: string): string => `${RIGHT}introspection:\n  resource_servers:\n    - ${server}\n`;

const BAD: readonly Bad[] = [
  // YAML
  ['a key twice', changed('redis:\n', 'redis:\n  url: redis://a\n'), 14, '', 'is a key that stands here twice'],
  ['a second document', `${RIGHT}---\nenvironment: production\n`, 44, '', 'starts a second document; a configuration is one'],
  ['a tab', changed('  audience: https://mayfly.test', '\taudience: https://mayfly.test'), 3, '', 'is indented by a tab; YAML takes spaces only'],
  ['an alias', changed('deployment_id: test', 'deployment_id: &id test\nenvironment: *id'), 2, '', 'is an alias; write the value out'],
  ['an unknown tag', changed('deployment_id: test', 'deployment_id: !secret test'), 1, '', /not valid YAML/],
  ['a broken quote', changed('deployment_id: test', 'deployment_id: "test'), 44, '', /not valid YAML/],
  ['no mapping', '- a\n- b\n', 1, '', /must be a mapping/],
  // Keys and types
  ['a misspelt key', changed('    address:', '    adress:'), 23, 'providers.vault-main.adress', /did you mean address\? Allowed here: type, address, namespace/],
  ['an unknown key at the top', `${RIGHT}htpp: {}\n`, 44, 'htpp', /did you mean http\?/],
  ['an unknown key without a likely meaning', `${RIGHT}xyzzy: 1\n`, 44, 'xyzzy', /^is not a known key\. Allowed here: environment, /],
  ['a key of another kind', changed('    audience: https://payments.test', '    audience: https://payments.test\n    token_role: x'), 44, 'credentials.task-token.token_role', /is not a known key/],
  ['a missing key', changed('  audience: mayfly-operators\n', ''), 9, 'operators.audience', 'is required'],
  ['an empty section', changed('policy:\n  directory: policies', 'policy:'), 14, 'policy', 'must be a mapping of keys; it is empty'],
  ['a list for a mapping', changed('policy:\n  directory: policies', 'policy: []'), 14, 'policy', 'must be a mapping of keys; it is a list'],
  ['text for a number', `${RIGHT}http:\n  port: eighty\n`, 45, 'http.port', 'must be a number; found "eighty"'],
  ['a fraction', `${RIGHT}http:\n  port: 80.5\n`, 45, 'http.port', 'must be a whole number; found 80.5'],
  ['a number out of range', `${RIGHT}http:\n  port: 70000\n`, 45, 'http.port', 'must be at most 65535; found 70000'],
  ['a lifetime of nothing', `${RIGHT}limits:\n  default_ttl_seconds: 0\n`, 45, 'limits.default_ttl_seconds', 'must be at least 1; found 0'],
  ['YAML 1.1’s yes', changed('    path: database', '    ends_open_sessions: yes\n    path: database'), 38, 'credentials.orders-db.ends_open_sessions', 'must be true or false; found "yes"'],
  ['an unknown environment', `environment: staging\n${RIGHT}`, 1, 'environment', 'must be one of production, development; found "staging"'],
  ['an unknown provider type', changed('    type: vault', '    type: hashicorp'), 22, 'providers.vault-main.type', 'must be one of vault, aws-sts, jwt; found "hashicorp"'],
  ['no provider type', changed('    type: vault\n', ''), 21, 'providers.vault-main.type', 'is required, and must be one of vault, aws-sts, jwt'],
  ['an unknown login', changed('method: token_file, file: worker-token', 'method: magic'), 26, 'providers.vault-main.login.worker.method', /must be one of approle, jwt, jwt_svid, kubernetes, token_file/],
  ['an algorithm with a shared key', changed(ISSUER, `${ISSUER}\n      algorithms: [HS256]`), 6, 'identity.issuers.0.algorithms.0', /must be one of RS256, .*EdDSA/],
  ['the algorithm none', changed(ISSUER, `${ISSUER}\n      algorithms: [none]`), 6, 'identity.issuers.0.algorithms.0', /must be one of RS256/],
  ['a provider name in capitals', changed('  vault-main:', '  Vault_Main:'), 21, 'providers.Vault_Main', /has a name that must be lower-case letters/],
  ['no signing key', changed('[signing.pem]', '[]'), 31, 'providers.tokens.signing_key_files', 'must have at least 1 item'],
  ['a URL with another scheme', changed('address: https:', 'address: ftp:'), 23, 'providers.vault-main.address', /must be an http or https URL/],
  // Rules between keys: identity
  ['nobody who could call', changed("  issuers:\n    - issuer: https://issuer.test\n  trust_domains:\n    - name: example.org\n      bundle_file: bundle.json\n", ''), 2, 'identity', /needs at least one of issuers and trust_domains/],
  ['an issuer for workloads and operators', changed('issuer: https://login.test', 'issuer: https://issuer.test'), 5, 'identity.issuers.0.issuer', /is also the issuer of operators/],
  ['an audience for workloads and operators', changed('audience: mayfly-operators', 'audience: https://mayfly.test'), 11, 'operators.audience', /is also the audience of workloads/],
  ['an issuer’s own audience that is the operators’', changed(ISSUER, `${ISSUER}\n      audience: mayfly-operators`), 6, 'identity.issuers.0.audience', /is also the audience of operators/],
  ['Mayfly as an issuer of workloads', changed(ISSUER, '    - issuer: https://mayfly.test'), 5, 'identity.issuers.0.issuer', /is Mayfly's own issuer/],
  ['Mayfly as the issuer of operators', changed('issuer: https://login.test', 'issuer: https://mayfly.test'), 10, 'operators.issuer', "is Mayfly's own issuer"],
  ['an issuer twice', changed(ISSUER, `${ISSUER}\n${ISSUER}`), 6, 'identity.issuers.1.issuer', 'is listed twice'],
  ['a trust domain twice', changed('operators:', '    - { name: example.org, bundle_file: b }\noperators:'), 9, 'identity.trust_domains.1.name', 'is listed twice'],
  ['one bundle for two trust domains', changed('operators:', '    - { name: example.com, bundle_file: bundle.json }\noperators:'), 9, 'identity.trust_domains.1.bundle_file', /each would then sign for the other/],
  ['SP-40: a trust domain without a bundle', domain('{ name: a.org }'), 9, 'identity.trust_domains.1', /needs one of bundle_file/],
  ['a trust domain with two bundles', domain(`{ name: a.org, bundle_file: b, bundle_endpoint: ${WEB} }`), 9, 'identity.trust_domains.1.bundle_endpoint', /cannot both be given/],
  ['a bundle endpoint over plain http', domain(`{ name: a.org, bundle_endpoint: ${WEB.replace('https:', 'http:')} }`), 9, 'identity.trust_domains.1.bundle_endpoint.url', /scheme that fits/],
  ['a bundle endpoint with a password', domain(`{ name: a.org, bundle_endpoint: ${WEB.replace('a.org', 'u:p@a.org')} }`), 9, 'identity.trust_domains.1.bundle_endpoint.url', /no user information/],
  ['SP-40: a bundle endpoint without a profile', domain('{ name: a.org, bundle_endpoint: { url: "https://a.org/b" } }'), 9, 'identity.trust_domains.1.bundle_endpoint.profile', /must be one of https_web, https_spiffe/],
  ['a bundle endpoint whose SPIFFE ID is none', domain('{ name: a.org, bundle_endpoint: { profile: https_spiffe, url: "https://a.org/b", endpoint_spiffe_id: "spiffe://a.org" } }'), 9, 'identity.trust_domains.1.bundle_endpoint.endpoint_spiffe_id', /must be a SPIFFE ID with a path/],
  ['a bundle endpoint of its own domain with nothing to begin with', domain('{ name: a.org, bundle_endpoint: { profile: https_spiffe, url: "https://a.org/b", endpoint_spiffe_id: "spiffe://a.org/b" } }'), 9, 'identity.trust_domains.1.bundle_endpoint.bootstrap_file', /is needed/],
  ['a bundle endpoint of an unknown domain', domain('{ name: a.org, bundle_endpoint: { profile: https_spiffe, url: "https://a.org/b", endpoint_spiffe_id: "spiffe://b.org/b" } }'), 9, 'identity.trust_domains.1.bundle_endpoint.endpoint_spiffe_id', /b\.org, which is not configured/],
  ['a trust domain from an agent that is nowhere', domain('{ name: a.org, workload_api: true }'), 9, 'identity.trust_domains.1.workload_api', /needs workload_api\.socket or SPIFFE_ENDPOINT_SOCKET/],
  ['a login by an agent that is nowhere', changed('worker: { method: token_file, file: worker-token }', 'worker: { method: jwt_svid, role: w, audience: a }'), 26, 'providers.vault-main.login.worker.method', /needs workload_api\.socket/],
  ['a socket that is none', changed('operators:', 'workload_api: { socket: /run/agent.sock }\noperators:'), 9, 'workload_api.socket', /must be the URL of a Unix socket/],
  ['a TLS listener on the port of the plain one', changed('operators:', 'tls: { port: 8120, certificate: { source: files, certificate_file: c, key_file: k } }\noperators:'), 9, 'tls.port', /must differ/],
  ['an issuer that vouches for a trust domain', changed(ISSUER, `${ISSUER}\n      subjects: ["spiffe://example.org/agent/*"]`), 6, 'identity.issuers.0.subjects.0', /trust domain example\.org/],
  ['an issuer that vouches for everybody', changed(ISSUER, `${ISSUER}\n      subjects: ["*"]`), 6, 'identity.issuers.0.subjects.0', /trust domain example\.org/],
  ['bound tokens that nobody could send', changed(ISSUER, `${ISSUER}\n      sender_binding: required`), 6, 'identity.issuers.0.sender_binding', /needs http\.public_url/],
  ['a public address with a query', `${RIGHT}http: { public_url: "https://mayfly.test/?a=1" }\n`, 44, 'http.public_url', 'must have neither a query nor a fragment'],
  ['a public address without TLS', `${RIGHT}http: { public_url: "http://mayfly.test" }\n`, 44, 'http.public_url', 'must be https in production'],
  ['users who are operators', changed('operators:', '  users: { issuer: https://login.test, audience: consent }\noperators:'), 9, 'identity.users.issuer', 'is also the issuer of operators'],
  ['users who are workloads', changed('operators:', '  users: { issuer: https://issuer.test, audience: consent }\noperators:'), 9, 'identity.users.issuer', 'is also an issuer of workloads'],
  ['Mayfly as the issuer of users', changed('operators:', '  users: { issuer: https://mayfly.test, audience: consent }\noperators:'), 9, 'identity.users.issuer', "is Mayfly's own issuer"],
  ['users of an http issuer', changed('operators:', '  users: { issuer: http://users.test, audience: consent }\noperators:'), 9, 'identity.users.issuer', 'must be https in production'],
  ['a collector of traces without TLS', `${RIGHT}telemetry: { traces: { otlp_endpoint: "http://otlp.test" } }\n`, 44, 'telemetry.traces.otlp_endpoint', 'must be https in production'],
  ['a fragment in the address of a collector', `${RIGHT}telemetry: { traces: { otlp_endpoint: "https://otlp.test/#a" } }\n`, 44, 'telemetry.traces.otlp_endpoint', 'must not have a fragment'],
  ["users with the audience of workloads", changed('operators:', '  users: { issuer: https://users.test, audience: https://mayfly.test }\noperators:'), 9, 'identity.users.audience', 'is also the audience of workloads or operators'],
  ["GitHub by its names alone", changed('issuer: https://issuer.test', 'issuer: https://token.actions.githubusercontent.com'), 5, 'identity.issuers.0.profile', /must be github_actions/],
  ['GH-1: GitHub for everybody', changed(ISSUER, `${ISSUER}\n      profile: github_actions`), 5, 'identity.issuers.0.repositories', /is required/],
  ['GH-1: a repository without a number', github('repositories: [{ refs: [refs/heads/main] }]'), 7, 'identity.issuers.0.repositories.0', /needs repository_id or repository_owner_id/],
  ['GH-1: a name that begins others', github('repositories: [{ repository_id: "1" }]\n      subjects: ["repo:octo/refunds*"]'), 8, 'identity.issuers.0.subjects.0', /could match another repository/],
  ["GitHub's default audience", github('repositories: [{ repository_id: "1" }]\n      audience: https://github.com/octo'), 8, 'identity.issuers.0.audience', /must be Mayfly's own/],
  ["K8-1: the API server's audience", kubernetes('audience: https://kubernetes.default.svc'), 7, 'identity.issuers.0.audience', /must be Mayfly's own/],
  ["K8-1: the API server's audience by its issuer", kubernetes('audience: https://issuer.test'), 7, 'identity.issuers.0.audience', /must be Mayfly's own/],
  ['an instance that the platform knows better', kubernetes('instance_claim: jti'), 7, 'identity.issuers.0.instance_claim', /is for the profile generic only/],
  ['a key of another platform', kubernetes('repositories: [{ repository_id: "1" }]'), 7, 'identity.issuers.0.repositories', /is for the profile github_actions only/],
  ['a review without TLS', kubernetes('token_review: { url: "http://api.test", token_file: t }'), 7, 'identity.issuers.0.token_review.url', 'must be https in production'],
  ['a name that two could share', changed(ISSUER, `${ISSUER}\n      agent: "{a}-{b}"`), 6, 'identity.issuers.0.agent', /needs a separator/],
  ['a name in a trust domain', changed(ISSUER, `${ISSUER}\n      agent: "spiffe://example.org/{a}"`), 6, 'identity.issuers.0.agent', /must not make SPIFFE IDs/],
  ['a webhook that is not signed', `${RIGHT}notices: [{ name: n, kind: webhook, url_file: u }]\n`, 44, 'notices.0', /needs secret_file/],
  ['a recipient twice', `${RIGHT}notices: [{ name: n, kind: slack, url_file: u }, { name: n, kind: slack, url_file: u }]\n`, 44, 'notices.1.name', 'is listed twice'],
  ['a secret for Slack', `${RIGHT}notices: [{ name: n, kind: slack, url_file: u, secret_file: s }]\n`, 44, 'notices.0.secret_file', /is for webhooks/],
  ['a password in an address', changed('https://vault.test', 'https://u:hunter2@vault.test'), 23, 'providers.vault-main.address', 'must not hold a user or a password'],
  ['a query in an issuer', changed('issuer: https://login.test', 'issuer: https://login.test/?x=1'), 10, 'operators.issuer', 'must have neither a query nor a fragment'],
  // Rules between keys: credentials
  ['a provider that is not there', changed('provider: vault-main', 'provider: vault-mian'), 35, 'credentials.orders-db.provider', 'must be one of the configured providers: vault-main, tokens'],
  ['a provider of another type', changed('provider: vault-main', 'provider: tokens'), 35, 'credentials.orders-db.provider', 'must be a provider of type vault for the kind vault.dynamic'],
  ['a token for Mayfly itself', changed('audience: https://payments.test', 'audience: https://mayfly.test'), 43, 'credentials.task-token.audience', /is Mayfly's own audience/],
  ['a token for Mayfly’s operators', changed('audience: https://payments.test', 'audience: mayfly-operators'), 43, 'credentials.task-token.audience', /is Mayfly's own audience/],
  ['a ceiling above the ceiling', changed('    token_role:', '    max_ttl_seconds: 7200\n    token_role:'), 37, 'credentials.orders-db.max_ttl_seconds', 'must be at most limits.max_ttl_seconds, 3600'],
  ['a path with an unknown parameter', changed('creds/orders-reader', 'creds/{role}'), 38, 'credentials.orders-db.path', 'uses {role}, which params does not define'],
  ['a parameter without a use', withParams('database/creds/x', '{ role: { type: boolean } }'), 39, 'credentials.orders-db.params.role', 'is not used in path'],
  ['an optional parameter in a path', withParams('"database/creds/{role}"', '{ role: { type: string, required: false } }'), 39, 'credentials.orders-db.params.role.required', 'must be true: the path needs it'],
  ['a parameter inside a segment', withParams('"database/creds/a-{role}"', '{}'), 38, 'credentials.orders-db.path', /as a whole segment/],
  ['a path that climbs', changed('path: database/creds/orders-reader', 'path: database/../sys/seal'), 38, 'credentials.orders-db.path', /must be plain segments/],
  ['a pattern that is none', withParams('"database/creds/{role}"', '{ role: { type: string, pattern: "(" } }'), 39, 'credentials.orders-db.params.role.pattern', /must be a regular expression/],
  ['one token role for two', changed('  task-token:', '  other:\n    { kind: vault.token, provider: vault-main, owner: o, token_role: mayfly-orders-db }\n  task-token:'), 40, 'credentials.other.token_role', 'is also that of orders-db; each credential has its own'],
  ['introspection by a stranger', introspection('{ issuer: https://other.test, subject: s, audiences: [https://payments.test] }'), 46, 'introspection.resource_servers.0.issuer', /must be one of the workload issuers/],
  ['introspection of an unknown audience', introspection('{ issuer: https://issuer.test, subject: s, audiences: [https://nowhere.test] }'), 46, 'introspection.resource_servers.0.audiences.0', 'is the audience of no credential of kind jwt'],
  // Rules between keys: the rest
  ['a default above the ceiling', `${RIGHT}limits: { default_ttl_seconds: 900, max_ttl_seconds: 600 }\n`, 44, 'limits.default_ttl_seconds', 'must be at most limits.max_ttl_seconds'],
  ['one port for two', `${RIGHT}http: { port: 9120 }\n`, 44, 'http.metrics_port', 'must differ from http.port'],
  ['a request slower than the whole mint', `${RIGHT}minting: { timeout_ms: 1000 }\n`, 21, 'providers.vault-main.timeout_ms', 'must be at most minting.timeout_ms, 1000'],
  ['no Redis', changed('redis:\n  url: redis://redis.test:6379\n', ''), 1, 'redis', 'needs url, url_file or MAYFLY_REDIS_URL'],
  ['Redis twice', changed('  url: redis://redis.test:6379', '  url: redis://redis.test:6379\n  url_file: u'), 14, 'redis.url_file', 'and url cannot both be given'],
  ['a password in the file', changed('redis://redis.test', 'redis://default:hunter2@redis.test'), 13, 'redis.url', /holds a password; put the URL into a file/],
  // Other decision points
  ['a decision point with a path', `${RIGHT}authzen: { url: "https://mayfly.test/pdp" }\n`, 44, 'authzen.url', /nothing after it/],
  ['a decision point without TLS', `${RIGHT}authzen: { url: "http://mayfly.test" }\n`, 44, 'authzen.url', 'must be https in production'],
  ['an enforcement point that nobody vouches for', `${RIGHT}authzen: { callers: [{ issuer: "https://evil.test", subject: pep }] }\n`, 44, 'authzen.callers.0.issuer', /must be one of the workload issuers/],
  ['an OPA without its decision', changed('policy:\n', 'policy:\n  external: { kind: opa, url: "https://opa.test/" }\n'), 15, 'policy.external.url', /below \/v1\/data\//],
  ['an external decision point without TLS', changed('policy:\n', 'policy:\n  external: { kind: authzen, url: "http://pdp.test" }\n'), 15, 'policy.external.url', 'must be https in production'],
  ['a password for an external decision point', changed('policy:\n', 'policy:\n  external: { kind: authzen, url: "https://u:p@pdp.test" }\n'), 15, 'policy.external.url', 'must not hold a user or a password'],
  // Environments
  ['an http issuer in production', changed('https://issuer.test', 'http://issuer.test'), 5, 'identity.issuers.0.issuer', 'must be https in production'],
  ['an http operator issuer in production', changed('https://login.test', 'http://login.test'), 10, 'operators.issuer', 'must be https in production'],
  ['an http Vault in production', changed('https://vault.test', 'http://127.0.0.1'), 23, 'providers.vault-main.address', 'must be https in production'],
  ['one Vault role for two rights in production, by Kubernetes', changed('worker: { method: token_file, file: worker-token }', 'worker: { method: kubernetes, role: mayfly }', changed('reconciler: { method: token_file, file: reconciler-token }', 'reconciler: { method: kubernetes, role: mayfly }')), 27, 'providers.vault-main.login.reconciler', /is the same login as worker \(kubernetes\)/],
  ['a JWT login without its role', changed('method: token_file, file: worker-token', 'method: jwt, jwt_file: j'), 26, 'providers.vault-main.login.worker.role', /is required/],
  ['a mount with a parameter', kv('mount: "kv/{team}", path: payments/key'), 40, 'credentials.key.mount', /must be plain segments/],
  ['a static secret with a wildcard', kv('mount: kv, path: payments/*'), 40, 'credentials.key.path', /must be plain segments/],
  ['a static secret of an unknown engine', kv('mount: kv, path: payments/key, engine_version: 3'), 40, 'credentials.key.engine_version', /must be/],
  ['a version of what keeps no versions', kv('mount: kv, path: payments/key, engine_version: 1, version: 2'), 40, 'credentials.key.version', /needs engine_version 2/],
  ['a static secret from another provider', kv('mount: kv, path: payments/key').replace('kind: vault.kv, provider: vault-main', 'kind: vault.kv, provider: tokens'), 40, 'credentials.key.provider', 'must be a provider of type vault for the kind vault.kv'],
  ['one Vault login for two rights in production', changed('file: worker-token', 'file: api-token'), 26, 'providers.vault-main.login.worker', /is the same login as api/],
];

describe('a bad configuration', () => {
  it.each(BAD)('is refused at its line: %s', (_what, text, line, key, detail) => {
    const faults = faultsOf(text);
    const matching = faults.filter((fault) => fault.line === line && fault.key === key && (typeof detail === 'string' ? fault.detail === detail : detail.test(fault.detail)));
    // Shown whole when none matches.
    expect(matching.length > 0 ? [] : faults).toEqual([]);
    expect(matching).toHaveLength(1);
  });

  it('is one that the right configuration is not (control)', () => {
    expect(faultsOf(RIGHT)).toEqual([]);
  });

  it('names the column too, so that an editor can jump there', () => {
    const fault = at(faultsOf(changed('    address:', '    adress:')), 0);
    expect(fault.where).toMatch(/mayfly\.yaml:\d+:\d+$/);
    expect(faultsOf(changed('    address:', '    adress:')).find(({ key }) => key.endsWith('adress'))?.where).toMatch(/:23:5$/);
  });

  it('is told all its faults at once', () => {
    const text = changed('    type: vault', '    type: vault\n    colour: red', changed('deployment_id: test', 'deployment_id: TEST'));
    expect(faultsOf(text, { MAYFLY_HTTP__PORT: 'x', MAYFLY_NOPE: '1' }).map(({ key, where }) => key || where)).toEqual([
      'MAYFLY_NOPE', 'deployment_id', 'http.port', 'providers.vault-main.colour',
    ]);
  });

  it('makes the error’s message out of its faults', () => {
    expect(() => load(changed('deployment_id: test', 'deployment_id: TEST'))).toThrow(/mayfly\.yaml:1:1: deployment_id must be lower-case letters/);
  });

  it.each([
    ['a token where a name belongs', changed('deployment_id: test', `deployment_id: hvs.${'aB3d'.repeat(8)}`), 'aB3daB3d'],
    ['a password under an unknown key', changed('  url: redis://redis.test:6379', '  url: redis://redis.test:6379\n  password: hunter2'), 'hunter2'],
    ['a secret id under its own key', changed('method: token_file, file: api-token', 'method: approle, role_id_file: r, secret_id_file: [hunter2]'), 'hunter2'],
    ['a password in a bad URL', changed('url: redis://redis.test:6379', 'url: http://u:hunter2@redis.test'), 'hunter2'],
    ['a password in a good URL', changed('redis://redis.test', 'redis://u:hunter2@redis.test'), 'hunter2'],
    ['a long value', changed('deployment_id: test', `deployment_id: ${'Q7w'.repeat(20)}`), 'Q7wQ7w'],
  ])('never has its secrets repeated: %s', (_what, text, secret) => {
    expect(text).toContain(secret);
    const faults = faultsOf(text);
    expect(faults).not.toEqual([]);
    expect(JSON.stringify(faults)).not.toContain(secret);
  });

  it('repeats a value that is no secret (control)', () => {
    expect(JSON.stringify(faultsOf(changed('deployment_id: test', 'deployment_id: Wrong')))).toContain('Wrong');
  });

  it('is refused when it is not there, or no text', () => {
    expect(at(faultsFrom(() => loadConfig({ path: '/nowhere/mayfly.yaml', env: {} })), 0)).toMatchObject({ where: '/nowhere/mayfly.yaml', line: null });
    expect(() => loadConfig({ path: process.execPath, env: {} })).toThrow(ConfigError);
  });

  it('cannot unfold to gigabytes', () => {
    const bomb = Array.from({ length: 9 }, (_, index) => `x${index + 1}: &x${index + 1} [${`*x${index},`.repeat(9)}]`).join('\n');
    expect(faultsOf(`x0: &x0 [a]\n${bomb}\n`).some(({ detail }) => detail.includes('alias'))).toBe(true);
  });
});

describe('development', () => {
  const LOCAL = changed('https://vault.test', 'http://127.0.0.1', changed('redis://redis.test', 'redis://localhost', `environment: development\n${RIGHT}`));

  it('may use plain http on this machine', () => {
    expect(faultsOf(LOCAL)).toEqual([]);
  });

  it.each<[string, string, number, string]>([
    ['listen', `${LOCAL}http: { host: 0.0.0.0 }\n`, 45, 'http.host'],
    ['use a Redis', changed('redis://localhost', 'redis://10.0.0.1', LOCAL), 14, 'redis.url'],
    ['use a Vault', changed('http://127.0.0.1', 'http://vault.test', LOCAL), 24, 'providers.vault-main.address'],
    ['be fooled by a name', changed('redis://localhost', 'redis://localhost.evil.test', LOCAL), 14, 'redis.url'],
  ])('may not %s beyond this machine', (_what, text, line, key) => {
    expect(faultsOf(text)).toEqual([expect.objectContaining({ line, key })]);
  });
});

describe('a loaded configuration', () => {
  it('has its defaults', () => {
    expect(load(RIGHT)).toMatchObject({ environment: 'production', http: { host: '127.0.0.1', port: 8_120 }, limits: { default_ttl_seconds: 300 } });
  });

  it('is frozen to the bottom', () => {
    const config = load(RIGHT);
    const frozen = (value: unknown): boolean =>
      typeof value !== 'object' || value === null || (Object.isFrozen(value) && Object.values(value).every(frozen));
    expect(frozen(config)).toBe(true);
    expect(() => Object.assign(config.http, { port: 1 })).toThrow(TypeError);
  });

  it('has absolute paths, from its own folder', () => {
    withConfigFile(changed('ledger_seal_file: seal', 'ledger_seal_file: /etc/seal'), (path, folder) => {
      const config = loadConfig({ path, env: {} });
      expect(config.policy.directory).toBe(join(folder, 'policies'));
      expect(config.audit.file).toBe(join(folder, 'audit.jsonl'));
      expect(config.keys.ledger_seal_file).toBe('/etc/seal');
      expect(config.providers['tokens']).toMatchObject({ signing_key_files: [join(folder, 'signing.pem')] });
      expect(config.providers['vault-main']).toMatchObject({ login: { api: { file: join(folder, 'api-token') } } });
      expect(config.identity.trust_domains[0]?.bundle_file).toBe(join(folder, 'bundle.json'));
    });
  });

  it('lets one workload log in to Vault for three roles, by the file that Kubernetes mounts unless told otherwise', () => {
    const text = RIGHT.replace(/\{ method: token_file, file: (\w+)-token \}/g, '{ method: kubernetes, role: mayfly-$1 }');
    const login = (role: string): object => ({ method: 'kubernetes', mount: 'kubernetes', role, token_file: '/var/run/secrets/kubernetes.io/serviceaccount/token' });
    expect(load(text).providers['vault-main']).toMatchObject({ login: { api: login('mayfly-api'), worker: login('mayfly-worker'), reconciler: login('mayfly-reconciler') } });
  });

  it('takes the key-value engine to be of version 2 unless told otherwise', () => {
    expect(load(kv('mount: kv, path: payments/key')).credentials['key']).toMatchObject({ mount: 'kv', path: 'payments/key', engine_version: 2 });
    expect(load(kv('mount: kv, path: payments/key, engine_version: 1')).credentials['key']).toMatchObject({ engine_version: 1 });
  });

  it('is what the documented example gives', () => {
    const config = loadConfig({ path: resolve(import.meta.dirname, '../../config/mayfly.yaml'), env: {} });
    expect(config.environment).toBe('production');
    expect(Object.entries(config.credentials).map(([name, { kind }]) => [name, kind])).toEqual([
      ['orders-db', 'vault.dynamic'],
      ['vault-token', 'vault.token'],
      ['payments-api-key', 'vault.kv'],
      ['reports-bucket', 'aws.sts'],
      ['task-token', 'jwt'],
      ['task-reference', 'jwt'],
    ]);
    expect(config.credentials['orders-db']).toMatchObject({ path: 'database/creds/orders-reader', token_role: 'mayfly-orders-db', ends_open_sessions: true });
  });
});
