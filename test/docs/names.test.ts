import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { OCSF_KINDS } from '../../src/audit/export/ocsf-classes.ts';

const ROOT = join(import.meta.dirname, '../..');
const textsIn = (folder: string, suffix: string): string[] =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith(suffix)).map((name) => readFileSync(join(ROOT, folder, name), 'utf8'));
const DOCS = textsIn('docs', '.md').join('\n');

const all = (text: string, pattern: RegExp): string[] => [...new Set([...text.matchAll(pattern)].map(([, name = '']) => name))].sort();

describe('events on the audit log', () => {
  it('are all in docs/events.md, and no others', () => {
    const section = readFileSync(join(ROOT, 'docs/events.md'), 'utf8').split('### Types\n')[1]?.split('\n\nNotices', 1)[0] ?? '';
    expect(all(section, /`([a-z_]+\.[a-z_]+)`/g)).toEqual(Object.keys(OCSF_KINDS).sort());
  });
});

describe('metrics', () => {
  const registered = all(textsIn('src', '.ts').join('\n'), /name: '(mayfly_[a-z_]+)'/g);
  const documented = all(DOCS, /`(mayfly_[a-z_]+?)(?:_(?:bucket|count|sum))?(?:\{[^`]*)?`/g);

  it('are all told of in docs/', () => {
    expect(registered.length).toBeGreaterThan(30);
    expect(registered.filter((name) => !documented.includes(name))).toEqual([]);
  });

  it('that docs/ tells of are there', () => {
    // Tags of AWS sessions.
    const others = ['mayfly_lease', 'mayfly_task', 'mayfly_agent', 'mayfly_purpose', 'mayfly_deployment'];
    expect(documented.filter((name) => !registered.includes(name) && !others.includes(name))).toEqual([]);
  });
});

describe('commands', () => {
  const reference = new Map(readFileSync(join(ROOT, 'docs/cli-reference.md'), 'utf8').split(/^## (?=mayfly)/m).slice(1).map((section) => [section.split('\n', 1)[0] ?? '', section] as const));

  /** The section of the longest command that `words` begin with. */
  const sectionOf = (words: string): string | undefined =>
    [...reference].filter(([name]) => words === name || words.startsWith(`${name} `)).sort(([a], [b]) => b.length - a.length)[0]?.[1];

  const unknown = (text: string): string[] =>
    all(text, /(?:`|^ *(?:npx )?)(mayfly [a-z][a-z-]*(?=[ `\n])[^`\n|#]*)/gm).filter((words) => {
      const section = sectionOf(words.trim());
      return section === undefined || all(words, /(?<![\w-])(--[a-z-]+)/g).some((flag) => flag !== '--help' && !section.includes(flag));
    });

  it('that the pages name are there, with the options they are given', () => {
    const pages = [DOCS, ...textsIn('examples', '.md'), ...['README.md', 'SECURITY.md', 'CHANGELOG.md'].map((name) => readFileSync(join(ROOT, name), 'utf8'))];
    expect(all(DOCS, /`(mayfly [a-z]+)/g).length).toBeGreaterThan(10);
    expect(pages.flatMap(unknown)).toEqual([]);
  });

  it('that are not there are told', () => {
    expect(unknown('`mayfly leases ls --live` `mayfly leases ls --dead` `mayfly nothing`\n    npx mayfly top --never\n')).toEqual(['mayfly leases ls --dead', 'mayfly nothing', 'mayfly top --never']);
  });
});
