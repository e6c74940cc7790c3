import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, it } from '@jest/globals';

const ROOT = join(import.meta.dirname, '../..');
const PAGES = execFileSync('git', ['ls-files', '*.md'], { cwd: ROOT, encoding: 'utf8' }).trim().split('\n');

const withoutCode = (text: string): string => text.replace(/^```[\s\S]*?^```/gm, '');

/** The anchors of a page, as GitHub makes them of its headings. */
function anchorsOf(text: string): Set<string> {
  const seen = new Map<string, number>();
  return new Set(
    [...withoutCode(text).matchAll(/^#{1,6} (.+)$/gm)].map(([, heading = '']) => {
      const words = heading.replaceAll('`', '').replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase();
      const anchor = words.replace(/[^\p{L}\p{N}\s_-]/gu, '').trim().replace(/\s/g, '-');
      const before = seen.get(anchor) ?? 0;
      seen.set(anchor, before + 1);
      return before === 0 ? anchor : `${anchor}-${before}`;
    }),
  );
}

/** The links of a page to others of the repository that lead nowhere. */
function brokenLinks(page: string, text: string): string[] {
  const targets = [...withoutCode(text).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target).filter((target) => !/^(https?|mailto):/.test(target));
  return targets.filter((target) => {
    const [path = '', anchor] = target.split('#');
    const file = path === '' ? join(ROOT, page) : join(ROOT, dirname(page), path);
    if (relative(ROOT, file).startsWith('..') || !existsSync(file)) return true;
    return anchor !== undefined && file.endsWith('.md') && !anchorsOf(readFileSync(file, 'utf8')).has(anchor);
  });
}

describe('links between pages', () => {
  it('lead to files and headings that are there', () => {
    expect(PAGES.length).toBeGreaterThan(40);
    expect(PAGES.flatMap((page) => brokenLinks(page, readFileSync(join(ROOT, page), 'utf8')).map((target) => `${page}: ${target}`))).toEqual([]);
  });

  it('are told when they lead nowhere', () => {
    expect(brokenLinks('README.md', '# A\n[a](docs/tasks.md#declaring) [b](#a) [c](docs/none.md) [d](docs/tasks.md#none) [e](../outside.md)')).toEqual(['#a', 'docs/none.md', 'docs/tasks.md#none', '../outside.md']);
  });
});
