import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { LAUNCHER, NOBODYS_HOME } from './run-mayfly.ts';
import { until } from './until.ts';

/** A `mayfly login` that waits for its person. */
export class SignInAtTerminal {
  /** What it said so far. */
  words = '';
  readonly #child: ChildProcess;
  readonly #ended: Promise<readonly [code: number | null, out: string]>;

  constructor(args: readonly string[], env: Readonly<Record<string, string>>) {
    const child = spawn(process.execPath, [LAUNCHER, 'login', ...args], { env: { PATH: process.env['PATH'] ?? '', HOME: NOBODYS_HOME, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    child.stderr.setEncoding('utf8').on('data', (words: string) => (this.words += words));
    this.#child = child;
    this.#ended = Promise.all([once(child, 'close').then(([code]) => code as number | null), text(child.stdout)]);
  }

  /** The address that it tells its person to open. */
  async url(): Promise<URL> {
    const found = (): string | undefined => /^ {2}(http\S+)$/m.exec(this.words)?.[1];
    await until(() => found() !== undefined || this.#child.exitCode !== null, { timeoutMs: 20_000, what: 'an address to sign in at' });
    const address = found();
    if (address === undefined) throw new Error(`login ended: ${this.words}`);
    return new URL(address);
  }

  /** Picks somebody on the page of the development issuer; answers where the browser is sent then, without going there. */
  async pick(person: string): Promise<URL> {
    const page = await this.url();
    page.searchParams.set('person', person);
    const answer = await fetch(page, { redirect: 'manual' });
    return new URL(answer.headers.get('location') ?? '');
  }

  async ends(): Promise<{ readonly code: number | null; readonly out: string }> {
    const [code, out] = await this.#ended;
    return { code, out };
  }

  /** For the end of a test that failed: nothing survives it. */
  close(): void {
    this.#child.kill('SIGKILL');
  }
}
