import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { readFile, rename, stat, writeFile } from 'node:fs/promises';
import { readPrivateKey, requiredMembers, thumbprintOf } from '../core/private-key-file.ts';

/** One key file of a list, in its place: the first signs, the second is published ahead of use, the rest are retired. */
export interface KeyStatus {
  readonly file: string;
  readonly place: 'signs' | 'next' | 'retired';
  /** RFC 7638 thumbprint. */
  readonly kid: string;
  /** When it came into this place, epoch ms. */
  readonly sinceMs: number;
}

/** Why a rotation would hurt now. */
export class TooEarly extends Error {
  override readonly name = 'TooEarly';
}

/** Without a next key nobody has seen the one that is about to sign; without a retired one, what the old one signed dies at once. */
const FEWEST_FILES = 3;

/** The keys of a list, as they stand. Throws `TypeError` that names a file which holds no key we can use. */
export async function keyStatus(files: readonly string[]): Promise<KeyStatus[]> {
  return Promise.all(
    files.map(async (file, index) => ({
      file,
      place: index === 0 ? 'signs' : index === 1 ? 'next' : 'retired',
      kid: thumbprintOf(requiredMembers(readPrivateKey(file))),
      sinceMs: (await stat(file)).mtimeMs,
    })),
  );
}

export interface RotationRules {
  readonly nowMs: number;
  /** The next key must have been published this long. */
  readonly publishedMs: number;
  /** The oldest retired key must have signed nothing for this long: what it signed has ended. */
  readonly retiredMs: number;
}

/**
 * Moves every key one place on: the next signs, the signing one retires, a new one is published, the oldest is forgotten.
 * Each file is replaced whole, oldest first, so that a crash on the way loses no key that is still needed. Throws
 * `RangeError` for a list that is too short, `TooEarly` when somebody could still need what would go, or not know yet
 * what would sign.
 */
export async function rotateKeys(files: readonly string[], rules: RotationRules): Promise<KeyStatus[]> {
  const [signs, next] = files;
  if (signs === undefined || next === undefined || files.length < FEWEST_FILES) {
    throw new RangeError(`needs at least ${FEWEST_FILES} key files: the one that signs, the next, and a retired one`);
  }
  const before = await keyStatus(files);
  const published = rules.nowMs - (before[1]?.sinceMs ?? 0);
  if (published < rules.publishedMs) throw new TooEarly(`the next key has been published for ${seconds(published)} s of ${seconds(rules.publishedMs)} s: not everyone has seen it yet`);
  const retired = rules.nowMs - (before.at(-1)?.sinceMs ?? 0);
  if (retired < rules.retiredMs) throw new TooEarly(`the oldest key retired ${seconds(retired)} s ago; what it signed can live for ${seconds(rules.retiredMs)} s`);

  const kind = readPrivateKey(signs);
  const texts = await Promise.all(files.map((file) => readFile(file, 'utf8')));
  for (let place = files.length - 1; place >= 2; place -= 1) await replace(files[place] ?? '', texts[place === 2 ? 0 : place - 1] ?? '');
  await replace(signs, texts[1] ?? '');
  await replace(next, newKeyLike(kind));
  return keyStatus(files);
}

/** A fresh key of the same kind: P-256 or Ed25519. */
function newKeyLike(key: KeyObject): string {
  const { privateKey } = key.asymmetricKeyType === 'ed25519' ? generateKeyPairSync('ed25519') : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}

async function replace(file: string, text: string): Promise<void> {
  const fresh = `${file}.new`;
  await writeFile(fresh, text, { mode: 0o600 });
  await rename(fresh, file);
}

const seconds = (ms: number): number => Math.max(0, Math.floor(ms / 1000));
