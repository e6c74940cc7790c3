import { emitKeypressEvents, type Key } from 'node:readline';
import type { Size } from './top-frame.ts';

const ESCAPE = '\u001b';
const ENTER = `${ESCAPE}[?1049h${ESCAPE}[?25l`;
/** The cursor and the lines that were there before. */
const LEAVE = `${ESCAPE}[?25h${ESCAPE}[?1049l`;
/** A terminal that does not say how big it is. */
const DEFAULT: Size = { rows: 24, columns: 80 };

export interface Screen {
  readonly size: () => Size;
  readonly draw: (lines: readonly string[]) => void;
  /** Gives the terminal back as it was; any number of times. */
  readonly restore: () => void;
}

/**
 * Takes the terminal: its other screen, each key as it is pressed. It is given back by `restore`, and in any case when the process ends, by an
 * error too. `onEnd`: a signal asks to end; the caller restores.
 */
export function takeScreen(on: { readonly key: (name: string) => void; readonly resize: () => void; readonly end: (signal: NodeJS.Signals) => void }): Screen {
  const { stdin, stdout } = process;
  let taken = true;
  const restore = (): void => {
    if (!taken) return;
    taken = false;
    stdout.write(LEAVE);
    stdin.setRawMode(false).pause().off('keypress', onKey);
    stdout.off('resize', onResize);
    process.off('exit', restore);
    for (const [signal, listener] of signals) process.off(signal, listener);
  };
  const onKey = (text: string | undefined, key: Key): void => on.key(keyName(text, key));
  const onResize = (): void => on.resize();
  const signals = (['SIGTERM', 'SIGHUP', 'SIGINT'] as const).map((signal) => [signal, () => on.end(signal)] as const);

  process.once('exit', restore);
  for (const [signal, listener] of signals) process.on(signal, listener);
  emitKeypressEvents(stdin);
  stdin.setRawMode(true).resume().on('keypress', onKey);
  stdout.on('resize', onResize);
  stdout.write(ENTER);
  return {
    size: () => ({ rows: stdout.rows || DEFAULT.rows, columns: stdout.columns || DEFAULT.columns }),
    // Each line is written over and what is left of it erased: a screen that is erased first flickers.
    draw: (lines) => void stdout.write(`${ESCAPE}[H${lines.map((line) => `${line}${ESCAPE}[K`).join('\r\n')}${ESCAPE}[J`),
    restore,
  };
}

function keyName(text: string | undefined, { name, ctrl }: Key): string {
  if (ctrl === true && name === 'c') return 'ctrl-c';
  if (name === 'return') return 'enter';
  if (name === 'space') return ' ';
  // What is typed is itself, whatever it is called.
  return text !== undefined && Array.from(text).length === 1 && !/\p{Cc}/u.test(text) ? text : (name ?? '');
}
