import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import fc from '../support/fast-check.ts';
import { searchAudit, type AuditFilter } from '../../src/audit/search-audit.ts';
import { at } from '../support/at.ts';
import { chainOf, instantOf, type StatedEvent } from '../support/audit-log.ts';

let directory: string;
let file: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'mayfly-search-'));
  file = join(directory, 'audit.jsonl');
});

afterEach(() => rm(directory, { recursive: true, force: true }));

const seqsOf = async (path: string, filter: AuditFilter, options: { newestFirst?: boolean; limit?: number; afterSeq?: number } = {}): Promise<number[]> =>
  (await searchAudit(path, filter, { newestFirst: false, limit: 10_000, ...options })).items.map(({ seq }) => seq);
const ms = (text: string): number => Date.parse(instantOf(text));
const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, index) => from + index);
const minute = (index: number): string => `${String(Math.floor(index / 60)).padStart(2, '0')}:${String(index % 60).padStart(2, '0')}`;
/** One event a minute from midnight. `bulk` makes a log that no search reads as a whole by accident. */
const everyMinute = (count: number, bulk = 0): StatedEvent[] =>
  Array.from({ length: count }, (_, index) => ({ at: minute(index), type: 'task.declared', task: `tsk_${index}`, agent: `agent:${index % 3}`, facts: { purpose: 'p', note: 'x'.repeat(bulk) } }));

describe('searching a log that was rotated', () => {
  it('finds records in every file, plain or compressed, whatever the files are called', async () => {
    const { lines } = chainOf(everyMinute(40));
    await writeFile(join(directory, 'audit.jsonl.1.gz'), gzipSync(lines.slice(10, 20).join('')));
    await writeFile(join(directory, 'audit.jsonl.2'), lines.slice(0, 10).join(''));
    await writeFile(join(directory, 'audit.jsonl-20260106'), lines.slice(20, 30).join(''));
    await writeFile(file, lines.slice(30).join(''));
    await writeFile(join(directory, 'audit.jsonl.checkpoints'), '{"at":"2026-01-06T00:00:00Z","note":"x"}\n');
    await writeFile(join(directory, 'audit.jsonl.epoch'), '{}');
    for (const path of [file, directory]) {
      expect(await seqsOf(path, {})).toEqual(range(1, 40));
      expect(await seqsOf(path, {}, { newestFirst: true })).toEqual(range(1, 40).reverse());
      expect(await seqsOf(path, { sinceMs: ms('00:15'), untilMs: ms('00:35') })).toEqual(range(16, 35));
      expect(await seqsOf(path, { sinceMs: ms('00:15'), untilMs: ms('00:35') }, { newestFirst: true })).toEqual(range(16, 35).reverse());
      expect(await seqsOf(path, { task: 'tsk_12' })).toEqual([13]);
    }
  });

  it('reads a file once that is being compressed', async () => {
    const { lines } = chainOf(everyMinute(20));
    const older = lines.slice(0, 10).join('');
    await writeFile(`${file}.1`, older);
    await writeFile(file, lines.slice(10).join(''));
    for (const compressed of [gzipSync(older), gzipSync(older).subarray(0, 60), Buffer.alloc(0)]) {
      await writeFile(`${file}.1.gz`, compressed);
      expect(await seqsOf(file, {})).toEqual(range(1, 20));
    }
  });

  it('looks at no file that stands beside the log for a moment, and is gone by then', async () => {
    await writeFile(file, chainOf(everyMinute(3)).lines.join(''));
    for (const name of ['epoch.0123456789ab', 'state.next']) await symlink('/nowhere', `${file}.${name}`);
    expect(await seqsOf(file, {})).toEqual([1, 2, 3]);
    // Control: one that could hold records is missed.
    await symlink('/nowhere', `${file}.1`);
    await expect(seqsOf(file, {})).rejects.toThrow('ENOENT');
  });

  it('says so when an old file cannot be read, and answers no less than there is', async () => {
    await writeFile(file, chainOf(everyMinute(3)).lines.join(''));
    await writeFile(`${file}.1.gz`, 'no gzip');
    await expect(seqsOf(file, {})).rejects.toThrow(/incorrect header/);
    await expect(seqsOf(join(directory, 'nothing.jsonl'), {})).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

describe('searching by time', () => {
  it('answers what reading everything would, in both orders and page by page, in a log of many blocks', async () => {
    const { lines } = chainOf(everyMinute(1_400, 8_000));
    await writeFile(`${file}.1`, lines.slice(0, 700).join(''));
    await writeFile(file, lines.slice(700).join(''));
    await fc.assert(
      fc.asyncProperty(fc.nat(1_400), fc.nat(200), fc.integer({ min: 0, max: 3 }), fc.boolean(), async (from, length, who, newestFirst) => {
        const filter = { ...(who === 3 ? {} : { agent: `agent:${who}` }), sinceMs: ms('00:00') + from * 60_000, untilMs: ms('00:00') + (from + length) * 60_000 };
        const wanted = range(from + 1, Math.min(from + length, 1_400)).filter((seq) => who === 3 || (seq - 1) % 3 === who);
        const expected = newestFirst ? wanted.reverse() : wanted;
        const paged: number[] = [];
        let afterSeq: number | undefined;
        do {
          const page = await searchAudit(file, filter, { newestFirst, limit: 70, afterSeq });
          paged.push(...page.items.map(({ seq }) => seq));
          afterSeq = page.nextSeq ?? undefined;
        } while (afterSeq !== undefined);
        expect(paged).toEqual(expected);
      }),
      { numRuns: 40 },
    );
  });

  it('finds what happened in the time and was sealed hours later, when the file could be written again', async () => {
    const late = (at: string, index: number): StatedEvent => ({ at, sealed: `15:00:0${index}`, type: 'lease.revoked', facts: {} });
    const { lines } = chainOf([
      ...everyMinute(600),
      // Three batches, of which the third still holds something of before.
      late('10:30', 0), late('14:59', 0), late('10:31', 1), late('14:59', 1), late('10:40', 2), late('15:00', 2),
      ...range(10, 40).map((second): StatedEvent => ({ at: `15:00:${second}`, type: 'task.declared' })),
    ]);
    await writeFile(file, lines.join(''));
    const filter = { sinceMs: ms('09:58'), untilMs: ms('10:45') };
    expect(await seqsOf(file, filter)).toEqual([599, 600, 601, 603, 605]);
    expect(await seqsOf(file, filter, { newestFirst: true })).toEqual([605, 603, 601, 600, 599]);
  });

  it('passes over lines that are no records, in both orders', async () => {
    const { lines } = chainOf(everyMinute(20));
    await writeFile(file, [...lines.slice(0, 5), 'nothing\n', '{"event":1}\n', ...lines.slice(5)].join('') + at(lines, 0).slice(0, 20));
    expect(await seqsOf(file, { sinceMs: ms('00:02') })).toEqual(range(3, 20));
    expect(await seqsOf(file, { sinceMs: ms('00:02') }, { newestFirst: true, limit: 3 })).toEqual([20, 19, 18]);
  });
});

describe('searching by what is in a record', () => {
  it('takes a decision, an owner, a trace id and any text', async () => {
    const decided = (result: string, id: string) => ({ decision: { id, result } });
    await writeFile(
      file,
      chainOf([
        { at: '10:00', type: 'task.declared', agent: 'agent:x', facts: { owner: 'team-a', ...decided('permit', 'dec_1'), trace_id: '0af7651916cd43dd8448eb211c80319c' } },
        { at: '10:01', type: 'task.denied', agent: 'agent:x', facts: { caller: { owner: 'team-a' }, ...decided('deny', 'dec_2'), note: 'the "quick" fox' } },
        { at: '10:02', type: 'lease.revoked', agent: 'agent:x', facts: { decision: 'dec_1', owner: 'deny' } },
      ]).lines.join(''),
    );
    expect(await seqsOf(file, { decision: 'deny' })).toEqual([2]);
    expect(await seqsOf(file, { decision: 'dec_1' })).toEqual([1, 3]);
    expect(await seqsOf(file, { owner: 'team-a' })).toEqual([1, 2]);
    expect(await seqsOf(file, { traceId: '0af7651916cd43dd8448eb211c80319c' })).toEqual([1]);
    expect(await seqsOf(file, { text: 'the "quick"' })).toEqual([2]);
    expect(await seqsOf(file, { text: 'slow' })).toEqual([]);
  });
});

describe('searching a tree of tasks', () => {
  const CHILD = { task: 'tsk_child', agent: 'agent:b' };
  beforeEach(async () => {
    await writeFile(
      file,
      chainOf([
        { at: '10:00', type: 'task.declared', task: 'tsk_root', agent: 'agent:a', facts: { root: 'tsk_root' } },
        { at: '10:01', type: 'task.declared', ...CHILD, facts: { root: 'tsk_root', chain: [{ task: 'tsk_root' }] } },
        { at: '10:02', type: 'task.declared', task: 'tsk_other', agent: 'agent:a', facts: { root: 'tsk_other' } },
        { at: '11:00', type: 'task.ending', ...CHILD, by: 'olga' },
        { at: '11:01', type: 'task.ended', ...CHILD },
        { at: '11:02', type: 'task.ended', task: 'tsk_other', agent: 'agent:a' },
      ]).lines.join(''),
    );
  });
  const tree = 'tsk_root';

  it('finds what happened to its members long after they were declared, from wherever a page begins', async () => {
    expect(await seqsOf(file, { tree })).toEqual([1, 2, 4, 5]);
    expect(await seqsOf(file, { tree }, { afterSeq: 2 })).toEqual([4, 5]);
    expect(await seqsOf(file, { tree }, { afterSeq: 5, newestFirst: true })).toEqual([4, 2, 1]);
    for (const newestFirst of [false, true]) {
      expect((await seqsOf(file, { tree, sinceMs: ms('10:30') }, { newestFirst })).sort()).toEqual([4, 5]);
      // By somebody whom no declaration names.
      expect(await seqsOf(file, { tree, agent: 'olga' }, { newestFirst })).toEqual([4]);
    }
    // Control: the other tree is apart.
    expect(await seqsOf(file, { tree: 'tsk_other' }, { afterSeq: 3 })).toEqual([6]);
  });
});
