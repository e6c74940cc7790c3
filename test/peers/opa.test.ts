import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { findOpa } from '../../dev/find-tools.ts';
import { makeAuthority } from '../../dev/make-certificate.ts';
import type { ExternalPolicyConfig } from '../../src/config/config-schema.ts';
import { systemClock } from '../../src/core/clock.ts';
import { createExternalPolicy, createPolicyFetch, type ExternalPolicy } from '../../src/policy/external-policy.ts';
import { externalQuestion } from '../../src/policy/external-question.ts';
import { QUESTION } from '../policy/policy-fixture.ts';
import { freeze, thaw } from '../support/freeze.ts';
import { startOpa, type OpaServer, type OpaWish } from '../support/opa-server.ts';
import { until } from '../support/until.ts';

const command = findOpa();
/** The policy as the documentation has it. */
const DOCUMENTED = /```rego\n([\s\S]*?)```/.exec(await readFile(join(import.meta.dirname, '../../docs/authzen.md'), 'utf8'))?.[1] ?? '';
const FURTHER = `package further
told := {"allow": false, "reason": "not on Sundays"}
known if { input.subject.properties.registered == false; time.parse_rfc3339_ns(input.context.at) > 0; input.resource.type == "credential" }
torn := 1 if true
torn := 2 if true
word := "true"
listed := [true]
slow if { some i in numbers.range(1, 100000000); i < 0 }
`;
/** Answers who has the right token, as OPA's own documentation has it. */
const AUTHZ = `package system.authz
default allow := false
allow if input.identity == "right"
`;
const OTHER = { ...QUESTION, purpose: 'data-export' };
const unavailable = (fault: string) => expect.objectContaining({ verdict: 'unavailable', reason: null, fault: expect.stringContaining(fault), decisionIds: [] });

(command === undefined ? describe.skip : describe)('Open Policy Agent, unchanged', () => {
  let directory: string;
  let opa: OpaServer;
  const start = (more: Partial<OpaWish> = {}): Promise<OpaServer> => startOpa({ command: command ?? '', directory, ...more });

  function asking(path: string, more: Partial<ExternalPolicyConfig> = {}, environment: 'development' | 'production' = 'development'): ExternalPolicy {
    const config = { kind: 'opa' as const, url: `${opa.url}${path}`, timeout_ms: 2_000, ...more };
    return createExternalPolicy(config, { fetch: createPolicyFetch(config, { environment, outbound: { allow_hosts: [], allow_private_addresses: true } }), clock: systemClock, observe: () => undefined });
  }
  const answer = (path: string) => asking(path).ask([QUESTION]);

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'mayfly-opa-'));
    opa = await start({ policies: { 'documented.rego': DOCUMENTED, 'further.rego': FURTHER }, args: ['--set', 'decision_logs.console=true'] });
  }, 60_000);

  afterAll(async () => {
    await opa.stop();
    await rm(directory, { recursive: true, force: true });
  });

  it('permits and refuses by the policy of our documentation, asked for the rule or for its package', async () => {
    for (const path of ['/v1/data/mayfly/allow', '/v1/data/mayfly']) {
      expect(await asking(path).ask([QUESTION])).toMatchObject({ verdict: 'permit', fault: null });
      expect(await asking(path).ask([OTHER])).toMatchObject({ verdict: 'deny', reason: null, fault: null });
      expect(await asking(path).ask([QUESTION, OTHER])).toMatchObject({ verdict: 'deny' });
    }
    expect(await answer('/v1/data/further/told')).toMatchObject({ verdict: 'deny', reason: 'not on Sundays' });
    expect(await answer('/v1/data/further/known')).toMatchObject({ verdict: 'permit' });
  });

  it('gets all that policy decides on, and its decision log has the ids that our record has', async () => {
    const { decisionIds } = await asking('/v1/data/mayfly/allow').ask([QUESTION, OTHER]);
    expect(decisionIds).toHaveLength(2);
    const logged = async () => (await opa.log()).filter(({ decision_id: id }) => decisionIds.includes(String(id)));
    await until(async () => (await logged()).length === 2, { what: 'its decision log' });
    const inputs = (await logged()).map(({ input }) => input);
    expect(inputs).toEqual(expect.arrayContaining([externalQuestion(QUESTION), externalQuestion(OTHER)]));
  });

  it.each([
    ['a rule that there is not', '/v1/data/mayfly/nothing', 'undefined'],
    ['a package that there is not', '/v1/data/nothing', 'undefined'],
    ['a rule that contradicts itself', '/v1/data/further/torn', 'it answered 500'],
    ['a text that says true', '/v1/data/further/word', 'no yes or no'],
    ['a list', '/v1/data/further/listed', 'no yes or no'],
    ['the older data API, whose answer is the bare value', '/v0/data/mayfly/allow', 'no yes or no'],
    ['a path that is none', '/v2/data/mayfly/allow', 'it answered 404'],
    ['the default decision, where there is none', '/', 'it answered 404'],
    ['a path with a slash too many', '/v1/data/mayfly/allow/', 'redirects are not followed'],
    ['a path of its API for something else', '/v1/policies/x', 'it answered 405'],
  ])('is no yes, asked for %s', async (_name, path, fault) => {
    expect(await answer(path)).toEqual(unavailable(fault));
  });

  it('is no yes while it takes longer than it may, is stopped or has gone, and is asked again when it is back', async () => {
    expect(await asking('/v1/data/further/slow', { timeout_ms: 200 }).ask([QUESTION])).toEqual(unavailable('took longer than 200 ms'));
    const own = opa;
    const port = Number(new URL(own.url).port);
    const policy = asking('/v1/data/mayfly/allow', { timeout_ms: 500 });
    const back = () => until(async () => (await policy.ask([QUESTION])).verdict === 'permit', { what: 'its answer', everyMs: 100, timeoutMs: 20_000 });
    await back();
    freeze(own.pid);
    try {
      expect(await policy.ask([QUESTION])).toEqual(unavailable('took longer than 500 ms'));
    } finally {
      thaw(own.pid);
    }
    await back();
    await own.stop();
    expect(await policy.ask([QUESTION])).toEqual(unavailable(''));
    opa = await start({ port, policies: { 'documented.rego': DOCUMENTED, 'further.rego': FURTHER } });
    await back();
    // Without a decision log its answers have no name.
    expect(await policy.ask([QUESTION])).toMatchObject({ verdict: 'permit', decisionIds: [] });
  }, 60_000);

  it('is no yes before its bundle is there, and a yes as soon as it is', async () => {
    const source = join(directory, 'bundle');
    await mkdir(source);
    await writeFile(join(source, 'mayfly.rego'), DOCUMENTED);
    execFileSync(command ?? '', ['build', '-b', source, '-o', join(directory, 'bundle.tar.gz')]);
    const bundle = await readFile(join(directory, 'bundle.tar.gz'));
    let isThere = false;
    const server = createServer((_request, response) => {
      if (isThere) response.writeHead(200, { 'Content-Type': 'application/gzip' }).end(bundle);
      else response.writeHead(404).end();
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const set = [`services.bundles.url=http://127.0.0.1:${(server.address() as AddressInfo).port}`, 'bundles.mayfly.service=bundles', 'bundles.mayfly.resource=bundle.tar.gz', 'bundles.mayfly.polling.min_delay_seconds=1', 'bundles.mayfly.polling.max_delay_seconds=1'];
    const before = opa;
    opa = await start({ args: set.flatMap((one) => ['--set', one]) });
    try {
      expect(await answer('/v1/data/mayfly/allow')).toEqual(unavailable('its policies are not loaded'));
      isThere = true;
      const policy = asking('/v1/data/mayfly/allow');
      await until(async () => (await policy.ask([QUESTION])).verdict === 'permit', { what: 'the bundle', everyMs: 200, timeoutMs: 20_000 });
    } finally {
      await opa.stop();
      opa = before;
      server.close();
      server.closeAllConnections();
    }
  }, 60_000);

  it('is asked over TLS with the token of a file, in production; a wrong token or a certificate of somebody else is no yes', async () => {
    const [authority, stranger] = [makeAuthority({ commonName: 'ours' }), makeAuthority({ commonName: 'theirs' })];
    const served = authority.issue({ ips: ['127.0.0.1'] });
    const file = (name: string): string => join(directory, name);
    await Promise.all([writeFile(file('cert.pem'), served.pem), writeFile(file('key.pem'), served.keyPem), writeFile(file('ca.pem'), authority.pem), writeFile(file('stranger.pem'), stranger.pem), writeFile(file('token'), 'right\n')]);
    const before = opa;
    opa = await start({ scheme: 'https', policies: { 'documented.rego': DOCUMENTED, 'authz.rego': AUTHZ }, args: ['--tls-cert-file', file('cert.pem'), '--tls-private-key-file', file('key.pem'), '--authentication=token', '--authorization=basic'] });
    const path = '/v1/data/mayfly/allow';
    const secured = { ca_file: file('ca.pem'), token_file: file('token') };
    try {
      expect(await asking(path, secured, 'production').ask([QUESTION])).toMatchObject({ verdict: 'permit' });
      expect(await asking(path, { ca_file: file('ca.pem') }, 'production').ask([QUESTION])).toEqual(unavailable('it answered 401'));
      expect(await asking(path, { ...secured, ca_file: file('stranger.pem') }, 'production').ask([QUESTION])).toEqual(unavailable('certificate'));
      await writeFile(file('token'), 'wrong\n');
      expect(await asking(path, secured, 'production').ask([QUESTION])).toEqual(unavailable('it answered 401'));
    } finally {
      await opa.stop();
      opa = before;
    }
  }, 60_000);
});
