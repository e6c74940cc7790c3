import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execFile } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { promisify } from 'node:util';
import fc from '../support/fast-check.ts';
import { calculateJwkThumbprint } from 'jose';
import { startDevIssuer, type DevIssuer, type TokenRequest } from '../../dev/dev-issuer.ts';
import { DECLARATION_TYPE } from '../../src/identity/evidence-verifier.ts';
import { parseDeclaration } from '../../src/task/declaration.ts';
import { declarationDigest } from '../../src/task/vouched-declaration.ts';
import { publishIssuer } from '../identity/published-issuer.ts';
import { runMayfly } from '../support/run-mayfly.ts';
import { RunningBroker, type HttpAnswer } from '../support/running-broker.ts';
import { until } from '../support/until.ts';

const DESK = 'orchestrator:support-desk';
const POLICIES = `@id("vouched-export")
permit (principal == Mayfly::Agent::"agent:refunds", action == Mayfly::Action::"mint", resource == Mayfly::Credential::"task-token")
when { context.purpose == Mayfly::Purpose::"data-export" && context.operations == [Mayfly::Operation::"export"] && context.evidence == "orchestrator_signed" && context has vouched_by && context.vouched_by == "${DESK}" };

@id("consented-export")
permit (principal == Mayfly::Agent::"agent:refunds", action == Mayfly::Action::"mint", resource == Mayfly::Credential::"task-token")
when { context.purpose == Mayfly::Purpose::"data-export" && context.evidence == "user_consented" && context has subject && context.subject == "user:ann" };

@id("desk-declares-exports")
permit (principal == Mayfly::Agent::"${DESK}", action == Mayfly::Action::"declare_for", resource)
when { context.purpose == Mayfly::Purpose::"data-export" && context has for_agent && context.for_agent == "agent:refunds" };`;

let broker: RunningBroker;
let folder: string;
let users: DevIssuer;
let agent: string;
let desk: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mayfly-policies-'));
  await cp(join(import.meta.dirname, '../../config/policies'), folder, { recursive: true });
  await writeFile(join(folder, 'more.cedar'), POLICIES);
  users = await startDevIssuer({ audience: 'mayfly-consent' });
  broker = await RunningBroker.start({ policy: { directory: folder } }, [], {
    configure({ identity }) {
      identity.users = { issuer: users.issuer, audience: users.audience };
    },
  });
  [agent, desk] = await Promise.all([broker.agentToken(), broker.agentToken(DESK)]);
}, 60_000);

afterAll(async () => {
  await broker.stop();
  await users.stop();
  await rm(folder, { recursive: true, force: true });
}, 30_000);

const EXPORT = { purpose: 'data-export', justification: 'a report', ticket: 'OPS-12', actions: ['export'], data_classes: ['pii'], context: { tool: 'sql.query' }, ttl_seconds: 120, credentials: [{ name: 'task-token', ttl_seconds: 60, params: {} }] };

const agentId = (): { issuer: string; subject: string } => ({ issuer: broker.stack.workloads.issuer, subject: 'agent:refunds' });
const digestFor = (declaration: object, who = agentId()): string => declarationDigest(parseDeclaration(declaration), who);
const sign = (declaration: object, more: Partial<TokenRequest> & { claims?: Record<string, unknown> } = {}): Promise<string> =>
  broker.stack.workloads.sign({ subject: DESK, type: DECLARATION_TYPE, lifetimeSeconds: 120, ...more, claims: { declaration_digest: digestFor(declaration), ...more.claims } });
const declare = (declaration: object, token = agent): Promise<HttpAnswer> => broker.call('POST', '/v1/tasks', token, declaration);
const withToken = (token: string, declaration: object = EXPORT): object => ({ ...declaration, evidence: { kind: 'orchestrator_signed', token } });
const audit = async (type: string): Promise<{ facts: Record<string, unknown> }[]> =>
  (await readFile(broker.stack.auditFile, 'utf8').catch(() => ''))
    .split('\n')
    .filter((line) => line.includes(`"${type}"`))
    .map((line) => (JSON.parse(line) as { event: { facts: Record<string, unknown> } }).event);
const refusal = (detail: RegExp): object => ({ status: 403, body: { code: 'evidence_refused', errors: [{ pointer: '/evidence/token', detail: expect.stringMatching(detail) }] } });

describe('a declaration that an orchestrator signed', () => {
  it('rests on its word: policy permits what the agent alone may not, and the record says who vouched', async () => {
    expect(await declare({ ...EXPORT, credentials: [{ name: 'task-token' }] })).toMatchObject({ status: 403, body: { code: 'policy_denied' } });
    const token = await sign(EXPORT);
    const answer = await declare(withToken(token));
    expect(answer).toMatchObject({ status: 201, body: { task: { evidence: 'orchestrator_signed', vouched_by: DESK, subject: null, decision: { policies: ['desk-declares-exports', 'vouched-export'] } } } });
    await until(async () => (await audit('task.declared')).length === 1);
    expect((await audit('task.declared'))[0]?.facts).toMatchObject({ evidence: 'orchestrator_signed', vouched_by: DESK, vouched_by_issuer: broker.stack.workloads.issuer });
    expect(await readFile(broker.stack.auditFile, 'utf8')).not.toContain(token);
    expect(await broker.log()).not.toContain(token);
  });

  it('is declared by the orchestrator as well, and claimed on its word', async () => {
    const declaration = { ...EXPORT, agent: 'agent:refunds' };
    const declared = await declare(withToken(await sign(declaration), declaration), desk);
    expect(declared).toMatchObject({ status: 202, body: { task: { state: 'pending_claim', evidence: 'orchestrator_signed' } } });
    const { id } = declared.body['task'] as { id: string };
    expect(await broker.call('POST', `/v1/tasks/${id}/claim`, agent, {})).toMatchObject({ status: 201, body: { task: { evidence: 'orchestrator_signed', vouched_by: DESK } } });
  });

  it('is taken once', async () => {
    const token = await sign(EXPORT);
    expect((await declare(withToken(token))).status).toBe(201);
    expect(await declare(withToken(token))).toMatchObject(refusal(/used before/));
    const many = await sign(EXPORT);
    const answers = await Promise.all(Array.from({ length: 8 }, () => declare(withToken(many))));
    expect(answers.map(({ status }) => status).sort()).toEqual([201, ...Array.from({ length: 7 }, () => 403)]);
  });

  it('is for exactly what was signed: any other word of it is refused', async () => {
    const changes = [
      { purpose: 'refund-investigation' },
      { justification: 'another report' },
      { justification: undefined },
      { ticket: 'OPS-13' },
      { actions: ['export', 'read'] },
      { data_classes: [] },
      { data_classes: ['pii', 'financial'] },
      { context: { tool: 'shell' } },
      { context: {} },
      { ttl_seconds: 121 },
      { credentials: [{ name: 'task-reference', ttl_seconds: 60, params: {} }] },
      { credentials: [{ name: 'task-token', ttl_seconds: 61, params: {} }] },
      { credentials: [...EXPORT.credentials, { name: 'task-reference', ttl_seconds: 60, params: {} }] },
      { agent: 'agent:payouts' },
    ];
    for (const change of changes) expect(await declare(withToken(await sign(EXPORT), { ...EXPORT, ...change }))).toMatchObject(refusal(/another declaration/));
  }, 30_000);

  it.each<readonly [string, () => Promise<string>, RegExp]>([
    ['a token that one logs in with', () => sign(EXPORT, { type: 'JWT' }), /its typ must be mayfly-declaration\+jwt/],
    ['the login token of the orchestrator itself', () => Promise.resolve(desk), /its typ must be/],
    ['one for another audience', () => sign(EXPORT, { audience: 'elsewhere' }), /aud/],
    ['one that lives too long', () => sign(EXPORT, { lifetimeSeconds: 301 }), /lives longer than allowed/],
    ['one that has expired', () => sign(EXPORT, { lifetimeSeconds: -60 }), /expired/],
    ['one without a digest', () => broker.stack.workloads.sign({ subject: DESK, type: DECLARATION_TYPE, lifetimeSeconds: 60 }), /no declaration_digest/],
    ['one that the agent signed for itself', () => sign(EXPORT, { subject: 'agent:refunds' }), /the agent's own word/],
    ['one of a subject that its issuer may not name', () => sign(EXPORT, { subject: 'somebody' }), /may not vouch for this subject/],
    ['one of an operator', () => broker.stack.operators.sign({ subject: DESK, type: DECLARATION_TYPE, lifetimeSeconds: 60, claims: { roles: ['mayfly-admin'], declaration_digest: digestFor(EXPORT) } }), /only a workload/],
    ['one of an unknown issuer', async () => users.sign({ subject: DESK, type: DECLARATION_TYPE, lifetimeSeconds: 60, claims: { declaration_digest: digestFor(EXPORT) } }), /issuer is not known/],
    ['one whose signature is another', async () => (await sign(EXPORT)).replace(/\.[\w-]{8}([\w-]+)$/, '.AAAAAAAA$1'), /signature/],
    ['one whose header is no JSON', async () => `AAAA.${(await sign(EXPORT)).split('.')[1] ?? ''}.x`, /header/],
    ['one without a signature', async () => `${Buffer.from(JSON.stringify({ alg: 'none', typ: DECLARATION_TYPE })).toString('base64url')}.${(await sign(EXPORT)).split('.')[1] ?? ''}.x`, /algorithm/],
    ['no token at all', () => Promise.resolve('x'), /compact JWS/],
  ])('is not %s', async (_name, token, why) => {
    expect(await declare(withToken(await token()))).toMatchObject(refusal(why));
  });

  it('puts each refusal on the record', async () => {
    const before = (await audit('evidence.refused')).length;
    await declare(withToken('x'));
    await until(async () => (await audit('evidence.refused')).length > before);
    expect((await audit('evidence.refused')).at(-1)?.facts).toMatchObject({ evidence: 'orchestrator_signed', purpose: 'data-export', reason: expect.stringMatching(/compact/) });
  });

  it('never logs one in (control: a login token does)', async () => {
    expect((await broker.call('GET', '/v1/tasks', await sign(EXPORT))).status).toBe(401);
    expect((await broker.call('GET', '/v1/tasks', desk)).status).toBe(200);
  });

  it('needs policy to let the orchestrator declare for the agent', async () => {
    expect(await declare(withToken(await sign(EXPORT, { subject: 'orchestrator:other' })))).toMatchObject({ status: 403, body: { code: 'policy_denied' } });
    // And the word is not enough where policy does not know it.
    expect(await declare(withToken(await sign({ ...EXPORT, actions: ['write'] }), { ...EXPORT, actions: ['write'] }))).toMatchObject({ status: 403, body: { code: 'policy_denied' } });
  });

  it('must say every lifetime: the broker fills in nothing that somebody vouched for', async () => {
    const vague = { ...EXPORT, ttl_seconds: undefined, credentials: [{ name: 'task-token' }] };
    expect(await declare(withToken(await sign(vague), vague))).toMatchObject({ status: 422, body: { errors: [{ pointer: '/ttl_seconds' }, { pointer: '/credentials/0/ttl_seconds' }] } });
    expect(await declare({ ...EXPORT, evidence: { kind: 'approved', token: 'x' } })).toMatchObject({ status: 422, body: { errors: [{ pointer: '/evidence/kind' }] } });
    expect(await declare({ ...EXPORT, evidence: { kind: 'orchestrator_signed', token: 'x', approvals: 1 } })).toMatchObject({ status: 422, body: { errors: [{ pointer: '/evidence/approvals' }] } });
  });
});

describe('an orchestrator that holds its own key', () => {
  it('signs on the command line what the agent then requests', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const jwk = { ...publicKey.export({ format: 'jwk' }), alg: 'ES256', use: 'sig' };
    const kid = await calculateJwkThumbprint(jwk);
    const issuer = await publishIssuer([{ ...jwk, kid }]);
    const files = { key: join(folder, 'key.pem'), declaration: join(folder, 'declaration.json'), signed: join(folder, 'signed.jwt') };
    try {
      await broker.reconfigure((config) => void (config as unknown as { identity: { issuers: object[] } }).identity.issuers.push({ issuer: issuer.issuer, subjects: [DESK] }));
      await writeFile(files.key, privateKey.export({ type: 'pkcs8', format: 'pem' }));
      await writeFile(files.declaration, JSON.stringify(EXPORT));
      const by = { of: 'agent', jwt: agent };
      const about = ['--file', files.declaration, '--agent', 'agent:refunds', '--agent-issuer', broker.stack.workloads.issuer];
      const local = async (args: readonly string[]): Promise<string> => (await promisify(execFile)(process.execPath, [join(import.meta.dirname, '../../bin/mayfly.js'), 'declaration', ...args])).stdout.trim();
      expect(await local(['digest', ...about])).toBe(digestFor(EXPORT));
      await writeFile(files.signed, await local(['sign', ...about, '--key-file', files.key, '--issuer', issuer.issuer, '--subject', DESK, '--audience', broker.stack.workloads.audience]));
      const { stdout } = await runMayfly(broker, by, ['request', '--file', files.declaration, '--signed-declaration', files.signed, '--json']);
      expect(JSON.parse(stdout)).toMatchObject({ task: { evidence: 'orchestrator_signed', vouched_by: DESK } });
      await writeFile(files.declaration, JSON.stringify({ ...EXPORT, ttl_seconds: undefined }));
      await expect(local(['digest', ...about])).rejects.toMatchObject({ code: 2, stderr: expect.stringContaining('/ttl_seconds must be given') });
    } finally {
      await issuer.stop();
    }
  }, 60_000);
});

describe('the digest of a declaration', () => {
  it('is another for any other content, and the same in any order of members', () => {
    const text = fc.stringMatching(/^[a-z][a-z0-9-]{0,8}$/);
    const declared = fc.record({
      purpose: text,
      actions: fc.uniqueArray(text, { minLength: 1, maxLength: 3 }),
      data_classes: fc.uniqueArray(text, { maxLength: 3 }),
      context: fc.dictionary(text, fc.oneof(fc.string({ maxLength: 5 }), fc.integer(), fc.boolean()), { maxKeys: 3, noNullPrototype: true }),
      ttl_seconds: fc.integer({ min: 1, max: 600 }),
      credentials: fc.array(fc.record({ name: text, ttl_seconds: fc.integer({ min: 1, max: 600 }), params: fc.dictionary(text, fc.oneof(fc.string({ maxLength: 5 }), fc.integer()), { maxKeys: 2, noNullPrototype: true }) }), { minLength: 1, maxLength: 3 }),
    });
    const who = { issuer: 'https://issuer.test', subject: 'agent:a' };
    fc.assert(
      fc.property(declared, declared, (a, b) => {
        const same = JSON.stringify(a) === JSON.stringify(b);
        const turned = Object.fromEntries(Object.entries(a).reverse()) as typeof a;
        expect(declarationDigest(turned, who)).toBe(declarationDigest(a, who));
        if (!same) expect(declarationDigest(a, who) === declarationDigest(b, who)).toBe(isSame(a, b));
        expect(declarationDigest(a, { ...who, subject: 'agent:b' })).not.toBe(declarationDigest(a, who));
        expect(declarationDigest(a, { ...who, issuer: 'https://other.test' })).not.toBe(declarationDigest(a, who));
      }),
      { numRuns: 100 },
    );
  });

  const isSame = (a: unknown, b: unknown): boolean => {
    try {
      expect(a).toEqual(b);
      return true;
    } catch {
      return false;
    }
  };

  it('is that of the worked example', async () => {
    const doc = await readFile(join(import.meta.dirname, '../../docs/evidence.md'), 'utf8');
    const [, declared = '', digest = ''] = /```json example\n([^`]+)```[^]*?`(sha256:[0-9a-f]{64})`/.exec(doc) ?? [];
    expect(declarationDigest(parseDeclaration(JSON.parse(declared)), { issuer: 'https://issuer.example', subject: 'agent:refunds' })).toBe(digest);
  });
});

describe("a declaration that brings a user's token", () => {
  const consent = (claims: Record<string, unknown> = { may_act: { sub: 'agent:refunds' } }, more: Partial<TokenRequest> = {}): Promise<string> => users.sign({ subject: 'user:ann', lifetimeSeconds: 120, claims, ...more });
  const consented = (token: string, declaration: object = EXPORT): Promise<HttpAnswer> => declare({ ...declaration, evidence: { kind: 'user_consented', token } });

  it('acts on behalf of that user, and says so', async () => {
    expect(await consented(await consent())).toMatchObject({ status: 201, body: { task: { evidence: 'user_consented', subject: 'user:ann', vouched_by: null, decision: { policies: ['consented-export'] } } } });
    expect((await consented(await consent({ declaration_digest: digestFor(EXPORT) }))).status).toBe(201);
    expect((await consented(await consent({ may_act: { sub: 'agent:refunds', iss: broker.stack.workloads.issuer } }))).status).toBe(201);
    // Another user's consent is another's (control).
    expect(await consented(await consent(undefined, { subject: 'user:bob' }))).toMatchObject({ status: 403, body: { code: 'policy_denied' } });
  });

  it.each<readonly [string, () => Promise<string>, RegExp]>([
    ['another agent (OA-6)', () => consent({ may_act: { sub: 'agent:payouts' } }), /may_act names another actor/],
    ['an agent of another issuer (OA-6)', () => consent({ may_act: { sub: 'agent:refunds', iss: 'https://elsewhere.test' } }), /may_act names another actor/],
    ['nobody in its may_act (OA-6)', () => consent({ may_act: 'agent:refunds' }), /may_act names another actor/],
    ['another declaration', () => consent({ declaration_digest: digestFor({ ...EXPORT, ttl_seconds: 121 }) }), /another declaration/],
    ['nothing in particular', () => consent({}), /neither the agent/],
    ['another audience', () => consent(undefined, { audience: 'mayfly' }), /aud/],
    ['a workload', () => Promise.resolve(agent), /iss/],
    ['an operator', () => broker.operatorToken(), /iss/],
    ['the agent itself', () => consent(undefined, { subject: 'agent:refunds' }), /are the same/],
    ['a SPIFFE ID', () => consent(undefined, { subject: 'spiffe://example.org/agent' }), /not a person/],
  ])('is refused where the token is for %s', async (_name, token, why) => {
    expect(await consented(await token())).toMatchObject(refusal(why));
  });

  it('is no way to call', async () => {
    expect((await broker.call('GET', '/v1/tasks', await consent())).status).toBe(401);
  });

  it('leaves the user out of the approval of the task', async () => {
    const declaration = { ...EXPORT, credentials: [{ name: 'orders-db', ttl_seconds: 60, params: {} }] };
    const waiting = await consented(await consent(), declaration);
    expect(waiting).toMatchObject({ status: 202, body: { task: { state: 'pending_approval', subject: 'user:ann' } } });
    const { id } = waiting.body['task'] as { id: string };
    const person = (subject: string): Promise<string> => broker.stack.operators.sign({ subject, claims: { roles: ['mayfly-operator'] } });
    expect(await broker.call('POST', `/v1/tasks/${id}/approval`, await person('user:ann'), { decision: 'approve' })).toMatchObject({ status: 403, body: { code: 'approval_refused' } });
    expect(await broker.call('POST', `/v1/tasks/${id}/approval`, await person('olga'), { decision: 'approve' })).toMatchObject({ status: 200, body: { task: { state: 'pending_claim', evidence: 'user_consented' } } });
  });
});
