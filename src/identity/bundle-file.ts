import { readFileSync, statSync } from 'node:fs';
import type { Clock } from '../core/clock.ts';
import { parseBundle } from './parse-bundle.ts';
import type { KeyLog } from './public-keys.ts';
import { HeldBundle, trustBundle, type TrustBundle } from './trust-bundle.ts';

/** The file is looked at again this often. */
const LOOK_EVERY_MS = 1_000;

/** The bundle in a file, which is read again when it changes. Each faulty state of it is told once. */
export function bundleFile(file: string, clock: Clock, log: KeyLog): TrustBundle {
  const held = new HeldBundle(file, clock, log);
  let read = '';
  let lookedMs = -Infinity;
  return trustBundle(held, () => {
    const nowMs = clock.monotonicMs();
    if (nowMs - lookedMs < LOOK_EVERY_MS) return;
    lookedMs = nowMs;
    const stamp = stampOf(file);
    if (stamp === read) return;
    read = stamp;
    held.take(() => parseBundle(readFileSync(file, 'utf8')));
  });
}

/** What changes whenever the file does: also when it is replaced by one of the same size and time. */
export function stampOf(file: string): string {
  try {
    const { mtimeMs, ctimeMs, size, ino } = statSync(file);
    return [mtimeMs, ctimeMs, size, ino].join(' ');
  } catch {
    return 'out of reach';
  }
}
