import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { taskSchema } from '../../src/http/task-schemas.ts';
import { FINAL_LEASE_STATES, LEASE_STATES } from '../../src/ledger/lease.ts';
import { TASK_STATES } from '../../src/task/task.ts';

const DOC = readFileSync(join(import.meta.dirname, '../../docs/glossary.md'), 'utf8');

/** The rows of a table below a heading, each as its cells; the table whose head starts with `head`. */
function rows(heading: string, head: string): string[][] {
  const section = DOC.slice(DOC.indexOf(`## ${heading}\n`)).split('\n## ', 1)[0] ?? '';
  const table = section.slice(section.indexOf(`| ${head} |`)).split('\n\n', 1)[0] ?? '';
  return table.trim().split('\n').slice(2).map((row) => row.split('|').slice(1, -1).map((cell) => cell.trim()));
}

const first = (table: string[][]): string[] => table.map(([cell = '']) => cell.replaceAll('`', ''));

describe('docs/glossary.md', () => {
  it('tells of every state of a task, and of no other', () => {
    expect(first(rows('States of a task', 'state'))).toEqual([...TASK_STATES]);
  });

  it('tells of every reason for which a task ends, and of no other', () => {
    expect(first(rows('States of a task', 'end reason'))).toEqual(taskSchema.shape.end_reason.unwrap().options);
  });

  it('tells of every state of a lease, of no other, and which are final', () => {
    const table = rows('States of a lease', 'state');
    expect(first(table)).toEqual([...LEASE_STATES]);
    expect(first(table.filter(([, meaning = '']) => meaning.startsWith('final')))).toEqual([...FINAL_LEASE_STATES]);
  });

  it('leads from states only to states', () => {
    for (const [heading, states] of [['States of a task', TASK_STATES], ['States of a lease', LEASE_STATES]] as const) {
      const next = rows(heading, 'state').flatMap(([, , cell = '']) => [...cell.matchAll(/`(\w+)`/g)].map(([, state = '']) => state));
      expect(next.filter((state) => !(states as readonly string[]).includes(state))).toEqual([]);
    }
  });
});
