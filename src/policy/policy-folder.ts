import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** Tells when a folder of policies has changed and is written. */
export class PolicyFolder {
  readonly #directory: string;
  readonly #intervalMs: number;
  readonly #onSettled: () => void;
  #seen: string;
  #settling: string | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** `intervalMs`: how often the folder is looked at. `onSettled` is called once for each change. */
  constructor(directory: string, intervalMs: number, onSettled: () => void) {
    this.#directory = directory;
    this.#intervalMs = intervalMs;
    this.#onSettled = onSettled;
    this.#seen = fingerprint(directory);
  }

  start(): void {
    this.#timer ??= setInterval(() => this.#look(), this.#intervalMs).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Takes the folder as it is now for known: whoever reads it now has read it. */
  note(): void {
    this.#seen = fingerprint(this.#directory);
  }

  /** A folder that is being written changes from look to look: it has settled when two looks agree. */
  #look(): void {
    const now = fingerprint(this.#directory);
    if (now === this.#seen) {
      this.#settling = undefined;
      return;
    }
    if (now === this.#settling) this.#onSettled();
    else this.#settling = now;
  }
}

/** Names, sizes and times of the folder's files: cheap, and different after any edit. A missing folder has one too. */
function fingerprint(directory: string): string {
  try {
    const names = readdirSync(directory).filter((name) => /\.cedar(schema)?$/.test(name));
    return names.sort().map((name) => {
      const { size, mtimeMs, ino } = statSync(join(directory, name));
      return `${name}:${size}:${mtimeMs}:${ino}`;
    }).join('\n');
  } catch (error) {
    return `unreadable: ${error instanceof Error ? error.message : ''}`;
  }
}
