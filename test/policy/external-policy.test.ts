import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Config, ExternalPolicyConfig } from '../../src/config/config-schema.ts';
import { systemClock } from '../../src/core/clock.ts';
import { externalPolicyChecks } from '../../src/doctor/external-policy-check.ts';
import { authzenRequest } from '../../src/grant/authzen-request.ts';
import { createExternalPolicy, createPolicyFetch, type ExternalAnswer, type ExternalPolicy } from '../../src/policy/external-policy.ts';
import { says, startDecisionPoint, type DecisionPointServer } from '../support/decision-point-server.ts';
import { at } from '../support/at.ts';
import { until } from '../support/until.ts';
import { QUESTION } from './policy-fixture.ts';

let point: DecisionPointServer;
let directory: string;
let observed: ExternalAnswer[];

beforeAll(async () => {
  point = await startDecisionPoint();
  directory = await mkdtemp(join(tmpdir(), 'mayfly-external-'));
  observed = [];
});

afterAll(async () => {
  await point.stop();
  await rm(directory, { recursive: true, force: true });
});

const OPA = '/v1/data/mayfly/allow';
const AUTHZEN = '/access/v1/evaluation';
const OUTBOUND: Pick<Config, 'environment' | 'outbound'> = { environment: 'development', outbound: { allow_hosts: [], allow_private_addresses: false } };

function policy(kind: ExternalPolicyConfig['kind'], path = kind === 'opa' ? OPA : AUTHZEN, more: Partial<ExternalPolicyConfig> = {}): ExternalPolicy {
  const config = { kind, url: `${point.url}${path}`, timeout_ms: 2_000, ...more };
  return createExternalPolicy(config, { fetch: createPolicyFetch(config, OUTBOUND), clock: systemClock, observe: (answer) => observed.push(answer) });
}

const verdict = async (kind: ExternalPolicyConfig['kind'], answer: Parameters<DecisionPointServer['answer']>[0], more: Partial<ExternalPolicyConfig> = {}): Promise<ExternalAnswer> => {
  point.answer(answer);
  return policy(kind, undefined, more).ask([QUESTION]);
};

describe('an answer that is one', () => {
  it.each([
    ['opa', 'true', { result: true }, 'permit', null],
    ['opa', 'false', { result: false }, 'deny', null],
    ['opa', 'an object that allows', { result: { allow: true } }, 'permit', null],
    ['opa', 'an object that does not', { result: { allow: false, reason: 'not on Sundays' } }, 'deny', 'not on Sundays'],
    ['opa', 'a reason of several lines, which is not passed on', { result: { allow: false, reason: 'a\nb' } }, 'deny', null],
    ['opa', 'a reason that is an essay, which is not passed on', { result: { allow: false, reason: 'a'.repeat(501) } }, 'deny', null],
    ['authzen', 'true', { decision: true }, 'permit', null],
    ['authzen', 'false', { decision: false }, 'deny', null],
    ['authzen', 'false, with reasons', { decision: false, context: { reasons: ['not on Sundays'], reason_admin: 'rule 7' } }, 'deny', 'not on Sundays'],
    ['authzen', 'false, with an error of its own', { decision: false, context: { error: { status: 404, message: 'no such subject' } } }, 'deny', null],
  ] as const)('of %s: %s', async (kind, _name, body, expected, reason) => {
    expect(await verdict(kind, says(body))).toMatchObject({ kind, verdict: expected, reason, fault: null });
    expect(observed.at(-1)).toMatchObject({ verdict: expected, tookMs: expect.any(Number) });
  });
});

describe('what is no plain yes or no is unavailable, and never a yes', () => {
  const yes = { result: true, decision: true };
  const cases = [
    ['an error status, whatever the body says', says(yes, { status: 500 }), 'it answered 500'],
    ['a refusal of our token', says(yes, { status: 401 }), 'it answered 401'],
    ['another success', says(yes, { status: 201 }), 'it answered 201'],
    ['a redirect', says(yes, { status: 307 }), 'redirects are not followed'],
    ['another content type', says(yes, { type: 'text/html' }), 'not JSON'],
    ['a content type that only begins well', says(yes, { type: 'application/jsonish' }), 'not JSON'],
    ['no content type', says(yes, { type: null }), 'not JSON'],
    ['what is not JSON', says('yes'), 'no yes or no'],
    ['nothing', says(''), 'no yes or no'],
    ['a text that says true', says({ result: 'true', decision: 'true' }), 'no yes or no'],
    ['a number', says({ result: 1, decision: 1 }), 'no yes or no'],
    ['null', says({ result: null, decision: null }), 'no yes or no'],
    ['an object that says nothing', says({ result: {}, decision: {} }), 'no yes or no'],
    ['an object that allows in a text', says({ result: { allow: 'true' }, decision: { allow: true } }), 'no yes or no'],
    ['a list', says([yes]), 'no yes or no'],
    ['an answer that is too large', says({ ...yes, padding: 'x'.repeat(17_000) }), 'too large'],
    ['an answer without end', says({ ...yes, padding: 'x'.repeat(1_100_000) }), ''],
  ] as const;

  it.each((['opa', 'authzen'] as const).flatMap((kind) => cases.map(([name, answer, fault]) => [kind, name, answer, fault] as const)))('of %s: %s', async (kind, _name, answer, fault) => {
    expect(await verdict(kind, answer)).toMatchObject({ verdict: 'unavailable', reason: null, fault: expect.stringContaining(fault) });
  });

  it('of opa: a decision that is undefined; of authzen: none at all', async () => {
    expect(await verdict('opa', says({}))).toMatchObject({ verdict: 'unavailable', fault: 'the decision is undefined there: no such rule, or its policies are not loaded' });
    expect(await verdict('authzen', says({}))).toMatchObject({ verdict: 'unavailable', fault: 'its answer is no yes or no' });
  });

  it.each(['opa', 'authzen'] as const)('of %s: none within the time-out', async (kind) => {
    const answer = await verdict(kind, () => undefined, { timeout_ms: 100 });
    expect(answer).toMatchObject({ verdict: 'unavailable', fault: 'took longer than 100 ms' });
  });

  it('where nobody listens, and where the address may not be asked', async () => {
    expect(await policy('opa', OPA, { url: `http://127.0.0.1:1${OPA}` }).ask([QUESTION])).toMatchObject({ verdict: 'unavailable' });
    expect(await policy('opa', OPA, { url: `http://169.254.169.254${OPA}` }).ask([QUESTION])).toMatchObject({ verdict: 'unavailable', fault: 'addresses of the range linkLocal are never asked' });
  });

  it('where nothing was asked', async () => {
    point.answer(says(yes));
    expect(await policy('opa').ask([])).toMatchObject({ verdict: 'deny' });
  });
});

describe('what is asked', () => {
  it('is all that policy decides on, with the token of the file as it is then, in a shape that our own AuthZEN face takes', async () => {
    const file = join(directory, 'token');
    point.answer(says({ decision: true, result: true }));
    const asking = policy('authzen', undefined, { token_file: file });
    await writeFile(file, 'first\n');
    await asking.ask([{ ...QUESTION, params: { region: 'eu' }, ticket: 'OPS-1' }]);
    await writeFile(file, 'second\n');
    await asking.ask([QUESTION]);
    const [first, second] = point.asked.slice(-2);
    expect(first).toMatchObject({ path: `POST ${AUTHZEN}`, headers: { authorization: 'Bearer first', 'content-type': 'application/json' } });
    expect(second?.headers.authorization).toBe('Bearer second');
    expect(first?.body).toMatchObject({
      subject: { type: 'agent', id: 'agent:refunds', properties: { issuer: 'https://issuer.test' } },
      action: { name: 'mint', properties: { actions: ['read'] } },
      resource: { type: 'credential', id: 'orders-db', properties: { region: 'eu' } },
      context: { purpose: 'refund-investigation', ticket: 'OPS-1', ttl_seconds: 60, at: '2027-01-15T08:00:00.000Z', credential: { kind: 'vault.dynamic', revocability: 'exact' } },
    });
    expect(authzenRequest.safeParse(first?.body).success).toBe(true);
    await policy('opa').ask([QUESTION]);
    expect(point.asked.at(-1)).toMatchObject({ path: `POST ${OPA}`, body: { input: second?.body } });
  });

  it("is answered under the names of OPA's decision log, where it has one", async () => {
    const [one, odd] = [await verdict('opa', says({ result: true, decision_id: 'd-1' })), await verdict('opa', says({ result: true, decision_id: { of: 'another kind' } }))];
    expect([one, odd]).toMatchObject([{ verdict: 'permit', decisionIds: ['d-1'] }, { verdict: 'permit', decisionIds: [] }]);
    expect((await verdict('authzen', says({ decision: true }))).decisionIds).toEqual([]);
  });

  it('is each credential: one no is a no, beside a yes and beside a failure; a yes beside a failure is none', async () => {
    const named = (name: string) => ({ ...QUESTION, credential: { ...QUESTION.credential, name } });
    point.answer((response, body) => {
      const { id } = (body as { input: { resource: { id: string } } }).input.resource;
      says(id === 'broken' ? {} : { result: id === 'good' })(response);
    });
    const verdicts = await Promise.all([['good', 'good'], ['good', 'bad'], ['broken', 'bad'], ['good', 'broken']].map(async (names) => (await policy('opa').ask(names.map(named))).verdict));
    expect(verdicts).toEqual(['permit', 'deny', 'deny', 'unavailable']);
  });

  it('is found by discovery, once, where the URL has no path', async () => {
    const finding = policy('authzen', '');
    const wellKnown = (base: string, endpoint = `${point.url}/pdp/evaluate`) => (response: Parameters<ReturnType<typeof says>>[0], body: unknown) =>
      says(body === null ? { policy_decision_point: base, access_evaluation_endpoint: endpoint } : { decision: true })(response);
    point.answer(wellKnown('https://elsewhere.test'));
    expect(await finding.ask([QUESTION])).toMatchObject({ verdict: 'unavailable', fault: 'its metadata names https://elsewhere.test' });
    point.answer(wellKnown(point.url, 'https://elsewhere.test/access'));
    expect(await finding.ask([QUESTION])).toMatchObject({ verdict: 'unavailable', fault: expect.stringContaining('elsewhere.test is not allowed') });
    point.answer(wellKnown(point.url));
    const before = point.asked.length;
    expect([(await finding.ask([QUESTION])).verdict, (await finding.ask([QUESTION])).verdict]).toEqual(['permit', 'permit']);
    expect(point.asked.slice(before).map(({ path }) => path)).toEqual(['GET /.well-known/authzen-configuration', 'POST /pdp/evaluate', 'POST /pdp/evaluate']);
  });
});

describe('a decision point that is away', () => {
  it('holds up three requests for its time-out and no more, and is found again when it is back', async () => {
    const asking = policy('opa', OPA, { timeout_ms: 150 });
    point.answer(() => undefined);
    for (let failures = 0; failures < 3; failures++) expect(await asking.ask([QUESTION])).toMatchObject({ fault: 'took longer than 150 ms' });
    const before = point.asked.length;
    const answers = await Promise.all(Array.from({ length: 20 }, () => asking.ask([QUESTION])));
    expect(answers.every(({ verdict, fault }) => verdict === 'unavailable' && fault === 'it failed several times in a row, and is left alone for a moment')).toBe(true);
    // Without the breaker each of them would have been sent, and have waited (control: the first three did).
    expect(point.asked).toHaveLength(before);
    point.answer(says({ result: true }));
    await until(async () => (await asking.ask([QUESTION])).verdict === 'permit');
  });

  it('is not taken for away because it says no', async () => {
    const asking = policy('opa');
    point.answer(says({ result: false }));
    for (let asked = 0; asked < 5; asked++) expect(await asking.ask([QUESTION])).toMatchObject({ verdict: 'deny' });
  });
});

describe('doctor', () => {
  const found = async (external: ExternalPolicyConfig | undefined) =>
    (await Promise.all(externalPolicyChecks({ ...OUTBOUND, policy: { directory: '', external }, credentials: {} } as unknown as Config).map(({ look }) => look(new AbortController().signal)))).flat();

  it('asks it once: a no is as it should be, a yes to an agent that there is not is doubtful, no answer is a failure', async () => {
    const external = { kind: 'opa', url: `${point.url}${OPA}`, timeout_ms: 1_000 } as const;
    const standings = [];
    for (const body of [{ result: false }, { result: true }, { result: 'no' }]) {
      point.answer(says(body));
      standings.push(at(await found(external), 0));
    }
    expect(standings.map(({ check, standing }) => [check, standing])).toEqual([['policy.external', 'ok'], ['policy.external', 'warning'], ['policy.external', 'failure']]);
    expect(standings.at(-1)).toMatchObject({ found: `${external.url}: its answer is no yes or no; nothing is granted`, fix: 'mend it, or policy.external' });
  });

  it('says nothing where there is none', async () => {
    expect(await found(undefined)).toEqual([]);
  });
});
