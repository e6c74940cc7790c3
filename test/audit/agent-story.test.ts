import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { readAgentStory, type AgentStoryItem } from '../../src/audit/agent-story.ts';
import { chainOf, instantOf, taskEvents, type StatedEvent } from '../support/audit-log.ts';
import { at } from '../support/at.ts';

let directory: string;
let file: string;
const HOUR_MS = 3_600_000;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'mayfly-story-'));
  file = join(directory, 'audit.jsonl');
});

afterEach(() => rm(directory, { recursive: true, force: true }));

const write = (events: readonly StatedEvent[]): Promise<void> => writeFile(file, chainOf(events).lines.join(''));
const story = (from: string, to: string, page: { afterSeq?: number; limit?: number } = {}) =>
  readAgentStory(file, { agent: 'agent:x', sinceMs: Date.parse(instantOf(from)), untilMs: Date.parse(instantOf(to)), longestTaskMs: 2 * HOUR_MS }, { limit: 50, ...page });
const namesOf = (items: readonly AgentStoryItem[]): string[] => items.map((item) => (item.kind === 'task' ? item.task : item.what));

describe('the story of an agent', () => {
  it('tells each task that was alive in the time: by which rule, on whose word, with what, and how it died', async () => {
    await write(taskEvents('tsk_1', 'agent:x', { from: '10:00', to: '10:05' }));
    const { items, nextSeq } = await story('09:00', '11:00');
    expect(nextSeq).toBeNull();
    expect(items).toMatchObject([
      {
        kind: 'task', seq: 1, task: 'tsk_1', agent: 'agent:x', declarer: 'agent:x', evidence: 'self_declared', purpose: 'refund-investigation', actions: ['read'], data_classes: ['pii'], credentials: ['orders-db'],
        declared_at: instantOf('10:00'), ended_at: instantOf('10:05'), end_reason: 'completed',
        decisions: [{ what: 'task.declared', result: 'permit', decision: 'dec_1', policies: ['refunds-mint'], policy_version: 'sha256:abc', parts: [{ credential: 'orders-db', result: 'permit' }] }],
        leases: [{ lease: 'lse_1', credential: 'orders-db', granted_at: instantOf('10:00'), ended_at: instantOf('10:05'), outcome: 'revoked', reason: 'completed', exposure_seconds: 0.012, verified_at: instantOf('10:05') }],
      },
    ]);
  });

  it('holds what was declared before it and ended after it, and nothing that was over before or began after', async () => {
    await write([
      ...taskEvents('tsk_1', 'agent:x', { from: '07:00', to: '07:30' }),
      ...taskEvents('tsk_2', 'agent:x', { from: '08:00', to: null }),
      ...taskEvents('tsk_3', 'agent:x', { from: '10:00', to: null }),
      ...taskEvents('tsk_2', 'agent:x', { from: '12:00', to: '12:00' }).slice(2),
      ...taskEvents('tsk_4', 'agent:x', { from: '12:01', to: '12:02' }),
      ...taskEvents('tsk_3', 'agent:x', { from: '13:00', to: '13:00' }).slice(2),
    ]);
    const { items } = await story('09:00', '11:00');
    expect(namesOf(items)).toEqual(['tsk_2', 'tsk_3']);
    expect(items.map((item) => item.kind === 'task' && item.ended_at)).toEqual([instantOf('12:00'), instantOf('13:00')]);
  });

  it('tells what was refused, and why, and what was asked for', async () => {
    await write([
      { at: '10:00', type: 'task.denied', agent: 'agent:x', facts: { purpose: 'data-export', actions: ['export'], decision: { id: 'dec_9', result: 'deny', policies: ['no-exports'], policy_version: 'sha256:abc', reasons: ['exports need an approval'] }, parts: [{ credential: 'orders-db' }] } },
      { at: '10:01', type: 'grant.locked', agent: 'agent:x', facts: { lock: 'lck_1', purpose: 'data-export', credentials: [{ credential: 'orders-db' }] } },
      { at: '10:02', type: 'evidence.refused', agent: 'agent:x', facts: { purpose: 'data-export', reason: 'was used before' } },
      { at: '10:03', type: 'task.denied', agent: 'agent:x', facts: { purpose: 'data-export', refused: 'agent_disabled' } },
    ]);
    expect((await story('09:00', '11:00')).items).toMatchObject([
      { kind: 'refusal', what: 'task.denied', result: 'deny', decision: 'dec_9', policies: ['no-exports'], reasons: ['exports need an approval'], purpose: 'data-export', credentials: ['orders-db'] },
      { kind: 'refusal', what: 'grant.locked', result: 'locked', reasons: ['lck_1'], credentials: ['orders-db'] },
      { kind: 'refusal', what: 'evidence.refused', result: 'refused', reasons: ['was used before'] },
      { kind: 'refusal', what: 'task.denied', result: 'refused', reasons: ['agent_disabled'] },
    ]);
  });

  it('is of that agent alone, whoever else names it', async () => {
    await write([
      ...taskEvents('tsk_1', 'agent:y', { from: '10:00', to: '10:05' }).map((event) => ({ ...event, facts: { ...event.facts, note: 'agent:x', subject: 'agent:x' } })),
      { at: '10:06', type: 'task.denied', agent: 'agent:y', by: 'agent:x', facts: { decision: { result: 'deny' } } },
    ]);
    expect((await story('09:00', '11:00')).items).toEqual([]);
  });

  it('says what it handed on, and what it says it did', async () => {
    const [declared, activated, ...rest] = taskEvents('tsk_1', 'agent:x', { from: '10:00', to: '10:05' });
    await write([
      at([declared], 0) as StatedEvent,
      at([activated], 0) as StatedEvent,
      { at: '10:01', type: 'tool_call.reported', task: 'tsk_1', agent: 'agent:x', facts: { tool_call: { id: 'c1', tool: 'sql.query' }, outcome: 'succeeded', credential: 'orders-db' } },
      { at: '10:02', type: 'task.declared', task: 'tsk_2', agent: 'agent:y', facts: { parent: 'tsk_1', root: 'tsk_1', chain: [{ task: 'tsk_1', subject: 'agent:x' }] } },
      ...rest,
    ]);
    expect((await story('09:00', '11:00')).items).toMatchObject([
      { task: 'tsk_1', tool_calls: [{ tool: 'sql.query', outcome: 'succeeded', credential: 'orders-db' }], handed_on: [{ task: 'tsk_2', agent: 'agent:y' }] },
    ]);
  });

  it('says of a lease without an end on the record that it is live', async () => {
    await write(taskEvents('tsk_1', 'agent:x', { from: '10:00', to: null }));
    expect((await story('09:00', '11:00')).items).toMatchObject([{ ended_at: null, leases: [{ outcome: 'live', ended_at: null }] }]);
  });

  it('is told page by page, each task once and whole', async () => {
    const ids = Array.from({ length: 9 }, (_, index) => `tsk_${index}`);
    const tasks = ids.map((task, index) => taskEvents(task, 'agent:x', { from: `10:0${index}`, to: `10:5${index}` }));
    // All are open at the same time: their ends come after the last has begun.
    await write([...tasks.flatMap((events) => events.slice(0, 2)), ...tasks.flatMap((events) => events.slice(2))]);
    const told: AgentStoryItem[] = [];
    let afterSeq: number | null = 0;
    while (afterSeq !== null) {
      const page: Awaited<ReturnType<typeof story>> = await story('09:00', '11:00', { afterSeq, limit: 2 });
      told.push(...page.items);
      afterSeq = page.nextSeq;
    }
    expect(namesOf(told)).toEqual(ids);
    expect(told.every((item) => item.kind === 'task' && item.ended_at !== null)).toBe(true);
  });

  it('says when the record begins, so that nobody takes silence for innocence', async () => {
    await write(taskEvents('tsk_1', 'agent:x', { from: '10:00', to: '10:05' }));
    expect((await story('01:00', '02:00')).recordBeginsAtMs).toBe(Date.parse(instantOf('10:00')));
    await writeFile(file, '');
    expect((await story('01:00', '02:00')).recordBeginsAtMs).toBeNull();
  });
});
