import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { stripVTControlCharacters } from 'node:util';
import { NOBODYS_HOME } from './run-mayfly.ts';
import { until } from './until.ts';

const RUNNER = join(import.meta.dirname, 'run-in-terminal.py');

export interface TerminalOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly rows?: number;
  readonly columns?: number;
}

/** A program in a real terminal, as a person has it: what it shows, and what is typed. */
export class Terminal {
  /** All that it showed so far, with its escape sequences. */
  raw = '';
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #ended: Promise<unknown[]>;

  constructor(command: readonly string[], { cwd, env = {}, rows = 24, columns = 80 }: TerminalOptions = {}) {
    const marks = process.env['MAYFLY_TEST_RUN'];
    this.#child = spawn('python3', [RUNNER, String(rows), String(columns), ...command], {
      cwd,
      env: { PATH: process.env['PATH'] ?? '', TERM: 'xterm-256color', HOME: NOBODYS_HOME, ...(marks === undefined ? {} : { MAYFLY_TEST_RUN: marks }), ...env },
      stdio: ['pipe', 'pipe', 'inherit', 'pipe'],
    }) as ChildProcessByStdio<Writable, Readable, null>;
    this.#ended = once(this.#child, 'exit');
    this.#child.stdout.setEncoding('utf8').on('data', (text: string) => (this.raw += text));
    // It may have gone before all is typed.
    this.#child.stdin.on('error', () => undefined);
  }

  /** What it showed, as words alone. */
  get text(): string {
    return stripVTControlCharacters(this.raw).replaceAll('\r', '');
  }

  async shows(words: string | RegExp, timeoutMs = 20_000): Promise<void> {
    await until(() => (typeof words === 'string' ? this.text.includes(words) : words.test(this.text)), { what: `${String(words)} on the terminal`, timeoutMs }).catch((error: unknown) => {
      throw new Error(`${String(error)}; it shows ${JSON.stringify(this.text.slice(-2_000))}`);
    });
  }

  type(text: string): void {
    this.#child.stdin.write(text);
  }

  resize(rows: number, columns: number): void {
    this.#tell(`resize ${rows} ${columns}`);
  }

  signal(name: 'SIGTERM' | 'SIGHUP'): void {
    this.#tell(`signal ${constants.signals[name]}`);
  }

  /** Waits for its end; answers the exit code. */
  async ends(): Promise<number | null> {
    const [code] = (await this.#ended) as [number | null];
    return code;
  }

  /** For the end of a test that failed: nothing survives it. */
  close(): void {
    this.#child.kill('SIGKILL');
  }

  #tell(line: string): void {
    (this.#child.stdio[3] as Writable).write(`${line}\n`);
  }
}
