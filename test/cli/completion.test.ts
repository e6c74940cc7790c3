import { execFile, execFileSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it, xdescribe } from '@jest/globals';
import { completeWords } from '../../src/cli/completion/complete-words.ts';
import { SHELL_SCRIPTS } from '../../src/cli/completion/shell-scripts.ts';
import { createProgram } from '../../src/cli/create-program.ts';
import { at } from '../support/at.ts';
import { RunningBroker } from '../support/running-broker.ts';
import { Terminal } from '../support/terminal.ts';

const run = promisify(execFile);
const LAUNCHER = resolve(import.meta.dirname, '../../bin/mayfly.js');

const has = (program: string): boolean => {
  try {
    execFileSync('sh', ['-c', `command -v ${program}`]);
    return true;
  } catch {
    return false;
  }
};
const withProgram = (program: string) => (has(program) ? describe : xdescribe);

const values = (...words: string[]): string[] => completeWords(createProgram(), words).candidates.map(({ value }) => value);

describe('what can be completed', () => {
  it('are commands, and those below them', () => {
    expect(values('le')).toEqual(['leases']);
    expect(values('leases', '')).toEqual(expect.arrayContaining(['ls', 'get', 'retry']));
    expect(values('')).not.toContain('__complete');
    expect(values('leases', 'get', 'x', 'y', '')).toEqual([]);
  });

  it('are options that were not given yet, or may be given again', () => {
    expect(values('revoke', '--dry')).toEqual(['--dry-run']);
    expect(values('revoke', '--dry-run', '--dry')).toEqual([]);
    expect(values('request', '--credential', 'orders-db', '--cred')).toEqual(['--credential']);
    // What follows an option that takes a value is that value, not a command.
    expect(values('leases', 'ls', '--provider', 'leases', '--st')).toEqual(['--state']);
  });

  it('are the values that an option or an argument can have', () => {
    expect(values('leases', 'ls', '--state', 'st')).toEqual(['stuck']);
    expect(values('leases', 'ls', '--output', '')).toEqual(['table', 'json', 'jsonl']);
    expect(values('completion', 'f')).toEqual(['fish']);
  });

  it('are files, folders and ids where an option or an argument takes them', () => {
    const kind = (...words: string[]) => completeWords(createProgram(), words).kind;
    expect(kind('leases', 'ls', '--token-file', '')).toBe('file');
    expect(kind('policy', 'lint', '')).toBe('directory');
    expect(kind('leases', 'get', '')).toBe('lease');
    expect(kind('revoke', '--subtree', '')).toBe('task');
    expect(kind('approvals', 'approve', '')).toBe('approval');
    expect(kind('leases', 'ls', '--provider', '')).toBeNull();
  });
});

withProgram('shellcheck')('the script for bash', () => {
  it('has nothing that shellcheck finds', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'mayfly-shellcheck-'));
    await writeFile(join(folder, 'mayfly.bash'), SHELL_SCRIPTS.bash);
    await expect(run('shellcheck', ['-s', 'bash', join(folder, 'mayfly.bash')])).resolves.toMatchObject({ stdout: '' });
    // Control: it finds what is wrong.
    await writeFile(join(folder, 'wrong.bash'), 'rm $1\n');
    await expect(run('shellcheck', ['-s', 'bash', join(folder, 'wrong.bash')])).rejects.toMatchObject({ code: 1 });
    await rm(folder, { recursive: true });
  });
});

describe('in a real shell', () => {
  let broker: RunningBroker;
  let folder: string;
  let env: Record<string, string>;
  let lease: string;
  const terminals: Terminal[] = [];

  beforeAll(async () => {
    broker = await RunningBroker.start();
    folder = await mkdtemp(join(tmpdir(), 'mayfly-shell-'));
    await mkdir(join(folder, 'bin'));
    await writeFile(join(folder, 'bin/mayfly'), `#!/bin/sh\nexec ${process.execPath} ${LAUNCHER} "$@"\n`);
    await chmod(join(folder, 'bin/mayfly'), 0o755);
    await writeFile(join(folder, 'token'), await broker.operatorToken(), { mode: 0o600 });
    env = { PATH: `${join(folder, 'bin')}:${process.env['PATH'] ?? ''}`, HOME: folder, MAYFLY_ADDR: broker.url, MAYFLY_TOKEN_FILE: join(folder, 'token'), PS1: '$ ' };
    lease = at((await broker.grant(['vault-token'])).credentials, 0).lease_id;
  }, 60_000);
  afterEach(() => terminals.splice(0).forEach((terminal) => terminal.close()));
  afterAll(async () => {
    await broker.stop();
    await rm(folder, { recursive: true });
  }, 30_000);

  function shell(...command: string[]): Terminal {
    const terminal = new Terminal(command, { env, cwd: folder, columns: 200, rows: 50 });
    terminals.push(terminal);
    return terminal;
  }

  withProgram('bash')('bash', () => {
    it('completes commands, options, values, files, ids, and names with colons in them', async () => {
      const bash = shell('bash', '--norc', '--noprofile', '-i');
      bash.type('source <(mayfly completion bash); echo re""ady\r');
      await bash.shows('ready\n');
      bash.type('mayfly lea\t');
      await bash.shows('mayfly leases ');
      bash.type('ls --sta\t');
      await bash.shows('mayfly leases ls --state ');
      bash.type('stu\t');
      await bash.shows('mayfly leases ls --state stuck ');
      bash.type('\u0015mayfly leases get lse_\t');
      await bash.shows(`mayfly leases get ${lease} `);
      bash.type('\u0015mayfly revoke --agent agent:ref\t');
      await bash.shows('mayfly revoke --agent agent:refunds ');
      bash.type('\u0015mayfly receipts verify --keys tok\t');
      await bash.shows('mayfly receipts verify --keys token ');
    }, 60_000);
  });

  withProgram('zsh')('zsh', () => {
    it('completes the same', async () => {
      const zsh = shell('zsh', '-f', '-i');
      zsh.type('autoload -U compinit; compinit -u -d "$HOME/.zcompdump"; source <(mayfly completion zsh); echo re""ady\r');
      await zsh.shows('ready\n');
      zsh.type('mayfly lea\t');
      await zsh.shows('mayfly leases ');
      zsh.type('ls --state stu\t');
      await zsh.shows('ls --state stuck ');
      zsh.type('\u0015mayfly leases get lse_\t');
      await zsh.shows(lease);
      zsh.type('\u0015mayfly revoke --agent agent:ref\t');
      await zsh.shows(/agent\\?:refunds /);
    }, 60_000);
  });

  withProgram('fish')('fish', () => {
    const complete = async (line: string): Promise<string> =>
      (await run('fish', ['--no-config', '-c', `mayfly completion fish | source; complete -C '${line}'`], { env: { ...env, TERM: 'dumb' }, cwd: folder })).stdout;

    it('completes the same', async () => {
      expect(await complete('mayfly lea')).toBe('leases\tthe lifetimes of credentials, as an operator\n');
      expect(await complete('mayfly leases ls --state stu')).toMatch(/^stuck\s*$/);
      expect(await complete('mayfly leases get lse_')).toContain(`${lease}\tvault-token agent:refunds`);
      expect(await complete('mayfly revoke --agent agent:ref')).toMatch(/^agent:refunds\t/);
      expect(await complete('mayfly receipts verify --keys tok')).toMatch(/^token/);
    }, 60_000);
  });

  it('offers no ids, and says nothing, where no broker is to be had', async () => {
    const { stdout, stderr } = await run(join(folder, 'bin/mayfly'), ['__complete', '--', 'leases', 'get', ''], { env: { ...env, MAYFLY_ADDR: 'http://127.0.0.1:1' } });
    expect(stdout).toBe(':\n');
    expect(stderr).toBe('');
    // Control: with one there are.
    expect((await run(join(folder, 'bin/mayfly'), ['__complete', '--', 'leases', 'get', ''], { env })).stdout).toContain(lease);
  });
});
