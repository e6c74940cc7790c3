import { isQuiet } from './output.ts';

/** Characters of a bar. */
const BAR = 24;

export interface ProgressLine {
  /** `done` of `total`, and words for what is being done; the words alone where `total` is 0. Writes over what it wrote before. */
  show(done: number, total: number, words: string): void;
  clear(): void;
}

/** How far long work is, on one line of the terminal that standard error is; nothing where nobody looks. */
export function progressLine(stream: Pick<NodeJS.WriteStream, 'isTTY' | 'columns' | 'write'> = process.stderr): ProgressLine {
  if (!stream.isTTY || isQuiet()) return { show: () => undefined, clear: () => undefined };
  return {
    show: (done, total, words) => void stream.write(`\r${progressText(done, total, words).slice(0, stream.columns - 1)}\u001b[K`),
    clear: () => void stream.write('\r\u001b[K'),
  };
}

/** `[#####-------------------]  21 % words`; the words alone where nobody knows how much there is. */
export function progressText(done: number, total: number, words: string): string {
  if (total <= 0) return words;
  const part = Math.min(1, Math.max(0, done / total));
  const filled = Math.floor(part * BAR);
  return `[${'#'.repeat(filled)}${'-'.repeat(BAR - filled)}] ${String(Math.floor(part * 100)).padStart(3)} % ${words}`;
}
