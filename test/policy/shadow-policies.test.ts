import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { newDecisionId, newTaskId } from '../../src/core/ids.ts';
import type { Workload } from '../../src/identity/caller.ts';
import type { CatalogEntry } from '../../src/grant/credential-catalog.ts';
import type { JointDecision } from '../../src/grant/decide-credentials.ts';
import { decideOrDeny } from '../../src/grant/decide-or-deny.ts';
import type { GrantDeps } from '../../src/grant/grant-deps.ts';
import { createCedarEngine } from '../../src/policy/cedar-engine.ts';
import { UNREGISTERED } from '../../src/policy/decision.ts';
import type { PolicyChange } from '../../src/policy/live-policies.ts';
import { loadPolicies } from '../../src/policy/load-policies.ts';
import { ShadowPolicies } from '../../src/policy/shadow-policies.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { question, TABLE } from './example-questions.ts';
import { DIRECTORY, QUESTION } from './policy-fixture.ts';

let folder: string;
let changes: PolicyChange[];
let suspensions: number;
let clock: ManualClock;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mayfly-shadow-'));
  changes = [];
  suspensions = 0;
  clock = new ManualClock();
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const copyExample = (): void => cpSync(DIRECTORY, folder, { recursive: true });
const write = (text: string): void => writeFileSync(join(folder, 'draft.cedar'), text);
const NO_PII = '@id("no-pii") forbid (principal, action, resource) when { context.data_classes.contains(Mayfly::DataClass::"pii") };';

function started(): ShadowPolicies {
  const shadow = new ShadowPolicies({ directory: folder, intervalMs: 1_000, clock, onChange: (change) => void changes.push(change), onSuspended: () => void (suspensions += 1) });
  shadow.reload();
  return shadow;
}

describe('shadow policies', () => {
  it('answer what they would have decided, by their own version', () => {
    copyExample();
    write(NO_PII);
    const shadow = started();
    expect(shadow.answer([QUESTION])).toEqual({ result: 'permit', policies: ['refund-investigation-mint'], policyVersion: loadPolicies(folder).version, fault: null });
    expect(shadow.answer([QUESTION, question({ data: ['pii'] })])).toMatchObject({ result: 'deny', policies: ['no-pii'] });
    expect(changes).toMatchObject([{ type: 'reloaded', from: 'none' }]);
  });

  it.each([
    ['is missing', (): void => rmSync(folder, { recursive: true })],
    ['has no schema', (): void => write(NO_PII)],
    ['does not compile', (): void => {
      copyExample();
      write('permit (principal, action, resource);');
    }],
    ['has a file that cannot be read', (): void => {
      copyExample();
      mkdirSync(join(folder, 'draft.cedar'));
    }],
  ])('whose folder %s have no answer, say so, and never throw', (_name, arrange) => {
    arrange();
    const shadow = started();
    expect(shadow.answer([QUESTION])).toBeNull();
    expect(shadow.version).toBe('none');
    expect(changes).toMatchObject([{ type: 'refused', inForce: 'none' }]);
  });

  it('go on with the last good set while a new one is broken, and come back when it is mended', () => {
    copyExample();
    const shadow = started();
    const { version } = shadow;
    write('nonsense');
    shadow.reload();
    expect(shadow.answer([QUESTION])).toMatchObject({ result: 'permit', policyVersion: version });
    write(NO_PII);
    shadow.reload();
    expect(shadow.version).not.toBe(version);
    expect(changes.map(({ type }) => type)).toEqual(['reloaded', 'refused', 'reloaded']);
  });

  it('that are slow again and again are left out for a minute', () => {
    copyExample();
    const shadow = started();
    // Each look at the clock finds it 60 ms later.
    const slow = {
      monotonicMs: () => {
        clock.advance(60);
        return clock.monotonicMs();
      },
    };
    const slowShadow = new ShadowPolicies({ directory: folder, intervalMs: 1_000, clock: slow, onChange: () => undefined, onSuspended: () => void (suspensions += 1) });
    slowShadow.reload();
    const answers = Array.from({ length: 5 }, () => slowShadow.answer([QUESTION]) !== null);
    expect(answers).toEqual([true, true, true, false, false]);
    expect(suspensions).toBe(1);
    clock.advance(61_000);
    expect(slowShadow.answer([QUESTION])).not.toBeNull();
    expect(shadow.answer([QUESTION])).not.toBeNull();
  });

  it('do not take the place of the set in force, however often they are loaded', () => {
    const live = createCedarEngine(loadPolicies(DIRECTORY));
    const before = TABLE.map(([, ask]) => live.decide(question(ask)).result);
    copyExample();
    const shadow = started();
    for (let n = 0; n < 3; n += 1) {
      write(`@id("closed-${n}") forbid (principal, action, resource);`);
      shadow.reload();
    }
    expect(shadow.answer([QUESTION])).toMatchObject({ result: 'deny' });
    expect(TABLE.map(([, ask]) => live.decide(question(ask)).result)).toEqual(before);
    // With the slots of the set in force, the second of these would have taken the first's names (control).
    createCedarEngine(loadPolicies(folder));
    createCedarEngine(loadPolicies(folder));
    expect(live.decide(QUESTION)).toMatchObject({ result: 'deny', fault: 'these policies are no longer in force' });
  });
});

describe('a grant beside shadow policies', () => {
  /** As far as a decision looks at it. */
  const entry = { name: 'orders-db', config: { owner: 'team-orders' }, provider: { name: 'vault-main' }, capabilities: { kind: 'vault.dynamic', revocability: 'exact' } } as unknown as CatalogEntry;
  const basis = { ...QUESTION, agent: QUESTION.principal, chain: [] };

  async function decide(shadow: GrantDeps['shadow'], fields: object = {}): Promise<{ readonly observed: JointDecision | undefined; readonly denied: boolean; readonly recorded: readonly unknown[] }> {
    let observed: JointDecision | undefined;
    const recorded: unknown[] = [];
    const deps = {
      policy: createCedarEngine(loadPolicies(DIRECTORY)),
      shadow,
      environment: 'test',
      risk: {},
      agents: { standingOf: () => Promise.resolve({ facts: UNREGISTERED, disabled: false }), refuseUnregistered: false },
      observeDecision: (decision: JointDecision) => void (observed = decision),
      ledger: { recordEvent: (event: unknown) => Promise.resolve(void recorded.push(event)), countDenial: () => Promise.resolve() },
    };
    const denied = await decideOrDeny({ decisionId: newDecisionId(), taskId: newTaskId(), by: QUESTION.principal, caller: QUESTION.principal as Workload, denial: 'task.denied', basis: { ...basis, ...fields }, wanted: [{ entry, ttlSeconds: 60, params: {} }] }, deps as never).then(
      () => false,
      () => true,
    );
    return { observed, denied, recorded };
  }

  it('is decided by the set in force alone: a shadow that would deny stops nothing, one that would permit opens nothing', async () => {
    copyExample();
    write('@id("closed") forbid (principal, action, resource);');
    const closed = await decide(started());
    expect(closed.denied).toBe(false);
    expect(closed.observed).toMatchObject({ summary: { result: 'permit' }, shadow: { result: 'deny', policies: ['closed'] } });

    write('@id("open") permit (principal, action, resource);');
    const open = await decide(started(), { actions: ['write'] });
    expect(open.denied).toBe(true);
    expect(open.observed).toMatchObject({ summary: { result: 'deny' }, shadow: { result: 'permit', policies: ['open'] } });
    expect(open.recorded).toMatchObject([{ facts: { decision: { result: 'deny', shadow: { result: 'permit', policies: ['open'] } } } }]);
  });

  it('would go the other way if the shadow set were the one in force (control)', () => {
    copyExample();
    write('@id("closed") forbid (principal, action, resource);');
    expect(createCedarEngine(loadPolicies(folder)).decide(QUESTION).result).toBe('deny');
  });

  it('goes on where the shadow set fails at every question', async () => {
    copyExample();
    write('@id("errs") forbid (principal, action, resource) when { context.ttl_seconds * 9223372036854775807 > 0 };');
    const { denied, observed } = await decide(started());
    expect(denied).toBe(false);
    expect(observed?.shadow).toMatchObject({ result: 'deny', fault: 'policy errs failed' });
  });
});
