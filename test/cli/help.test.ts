import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import type { Command } from 'commander';
import { isHidden } from '../../src/cli/completion/complete-words.ts';
import { createProgram } from '../../src/cli/create-program.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const run = promisify(execFile);
const reference = readFileSync(join(ROOT, 'docs/cli-reference.md'), 'utf8');
const guide = readFileSync(join(ROOT, 'docs/cli.md'), 'utf8');

interface Named {
  readonly name: string;
  readonly command: Command;
}

const below = (command: Command, name: string): Named[] => [{ name, command }, ...command.commands.flatMap((one) => below(one, `${name} ${one.name()}`))];
const all = below(createProgram(), 'mayfly').filter(({ command }) => command.name() !== 'help' && !isHidden(command));
const leaves = all.filter(({ command }) => command.commands.length === 0);

function helpOf(command: Command): string {
  let text = '';
  command.configureOutput({ writeOut: (words) => void (text += words) });
  command.outputHelp();
  return text;
}

describe('the help of every command', () => {
  it('begins with an example of that command', () => {
    const shown = ({ name, command }: Named): boolean => {
      const [, lines = ''] = /^Examples?:\n((?: {2}.*\n)+)\nUsage: /.exec(helpOf(command)) ?? [];
      // `mayfly hold` stands for `mayfly hold show`.
      return lines.includes(name) || lines.includes(`${name.replace(/ \S+$/, '')}\n`);
    };
    expect(leaves.filter((one) => !shown(one)).map(({ name }) => name)).toEqual([]);
  });

  it('says what the command does, and what each option is', () => {
    expect(all.filter(({ command }) => command.description() === '').map(({ name }) => name)).toEqual([]);
    expect(all.flatMap(({ name, command }) => command.options.filter(({ description }) => description === '').map(({ flags }) => `${name} ${flags}`))).toEqual([]);
  });

  it('offers one JSON document, or a choice of formats, wherever data is printed', () => {
    // These print a token, a proof or a script, which have forms of their own, or nothing, or run until they are told to end.
    const others = ['mayfly declaration digest', 'mayfly declaration sign', 'mayfly logout', 'mayfly audit prove', 'mayfly audit consistency', 'mayfly serve', 'mayfly completion'];
    expect(leaves.filter(({ command }) => !command.options.some(({ long }) => long === '--json' || long === '--format')).map(({ name }) => name)).toEqual(others);
  });

  it('has the same meaning for the same option everywhere', () => {
    const meanings = new Map<string, Set<string>>();
    for (const { command } of leaves) {
      for (const { long, flags } of command.options) {
        if (typeof long === 'string') meanings.set(long, (meanings.get(long) ?? new Set()).add(flags.replace(/<.*>/, '<>')));
      }
    }
    // `--key <a>` here and `--key` there would be two options of one name.
    expect([...meanings].filter(([, forms]) => forms.size > 1).map(([long]) => long)).toEqual([]);
  });

  it('is what the program prints, and what the reference holds', async () => {
    for (const args of [['--help'], ['revoke', '--help'], ['leases', 'ls', '--help'], ['help', 'lock', 'create']]) {
      const { stdout } = await run(process.execPath, [join(ROOT, 'bin/mayfly.js'), ...args], { env: { PATH: process.env['PATH'] ?? '' } });
      expect(stdout.length).toBeGreaterThan(200);
      expect(reference).toContain(stdout.trimEnd());
    }
  }, 30_000);
});

describe('the guide', () => {
  it('shows no command that is not there, and no option that it does not have', () => {
    const shown = [...guide.matchAll(/(?:^|[`\s|;&(])mayfly ((?:[a-z][\w-]*)(?: [a-z][\w-]*)?)([^`\n]*)/g)];
    const faults = shown.flatMap(([, words = '', rest = '']) => {
      const [first = '', second = ''] = words.split(' ');
      const found = all.find(({ name }) => name === `mayfly ${first} ${second}`) ?? all.find(({ name }) => name === `mayfly ${first}`);
      if (found === undefined) return [`mayfly ${words}`];
      const known = [found.command, ...found.command.commands].flatMap(({ options }) => options.map(({ long }) => long));
      return [...rest.matchAll(/(?<=\s)--[a-z-]+/g)].flatMap(([option]) => (known.includes(option) || option === '--help' || option === '--no-color' ? [] : [`mayfly ${words}: ${option}`]));
    });
    expect(faults).toEqual([]);
    expect(shown.length).toBeGreaterThan(15);
  });
});
