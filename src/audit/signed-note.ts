import { createHash, createPublicKey, sign, verify, type KeyObject } from 'node:crypto';
import { readPrivateKey } from '../core/private-key-file.ts';

/**
 * Signed notes (c2sp.org/signed-note): a text, an empty line, and signature lines `— <name> <base64>`. Go's
 * `golang.org/x/mod/sumdb/note` opens them. Ed25519 only, signature type 0x01.
 */

/** A key that signs notes, under its name. */
export interface NoteSigner {
  readonly privateKey: KeyObject;
  /** `<name>+<key id>+<base64>`: all that whoever verifies needs. */
  readonly verifierKey: string;
  readonly verifier: NoteVerifier;
}

/** What opens notes of one signer. */
export interface NoteVerifier {
  readonly name: string;
  readonly keyId: Buffer;
  readonly publicKey: KeyObject;
}

const ED25519 = 0x01;
const KEY_ID_BYTES = 4;
/** What stands before a raw Ed25519 key in its SubjectPublicKeyInfo (RFC 8410 section 4). */
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');

const keyIdOf = (name: string, typed: Buffer): Buffer => createHash('sha256').update(`${name}\n`).update(typed).digest().subarray(0, KEY_ID_BYTES);

/** The signer of a PEM Ed25519 key file. Throws `TypeError` that names the file. */
export function loadNoteSigner(file: string, name: string): NoteSigner {
  const privateKey = readPrivateKey(file);
  if (privateKey.asymmetricKeyType !== 'ed25519') throw new TypeError(`${file} must hold an Ed25519 key`);
  const raw = createPublicKey(privateKey).export({ type: 'spki', format: 'der' }).subarray(SPKI_PREFIX.length);
  const typed = Buffer.concat([Buffer.of(ED25519), raw]);
  const verifierKey = `${name}+${keyIdOf(name, typed).toString('hex')}+${typed.toString('base64')}`;
  return { privateKey, verifierKey, verifier: parseVerifierKey(verifierKey) };
}

/** Parses a verifier key. Throws `TypeError` for any other text. */
export function parseVerifierKey(text: string): NoteVerifier {
  const [, name, id, encoded] = /^([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+=*)$/.exec(text) ?? [];
  const typed = Buffer.from(encoded ?? '', 'base64');
  if (name === undefined || typed[0] !== ED25519 || typed.length !== 33) throw new TypeError('is not a verifier key of the form name+id+base64 with an Ed25519 key');
  const keyId = keyIdOf(name, typed);
  if (keyId.toString('hex') !== id) throw new TypeError('is a verifier key whose id is not that of its key');
  return { name, keyId, publicKey: createPublicKey({ key: Buffer.concat([SPKI_PREFIX, typed.subarray(1)]), type: 'spki', format: 'der' }) };
}

/** Signs a text that ends in a line feed. */
export function signNote(text: string, { privateKey, verifier }: NoteSigner): string {
  const signature = Buffer.concat([verifier.keyId, sign(null, Buffer.from(text), privateKey)]);
  return `${text}\n— ${verifier.name} ${signature.toString('base64')}\n`;
}

/** The text of a note, whoever signed it; undefined where it is none. */
export function noteText(note: string): string | undefined {
  const end = note.lastIndexOf('\n\n');
  return end === -1 ? undefined : note.slice(0, end + 1);
}

/** The text of a note that one of these keys signed; undefined for any other. Signatures of others are passed over. */
export function openNote(note: string, verifiers: readonly NoteVerifier[]): string | undefined {
  const text = noteText(note);
  if (text === undefined) return undefined;
  const genuine = note.slice(text.length + 1).split('\n').some((line) => {
    const [, name, encoded] = /^— (\S+) ([A-Za-z0-9+/]+=*)$/.exec(line) ?? [];
    const bytes = Buffer.from(encoded ?? '', 'base64');
    const verifier = verifiers.find((one) => one.name === name && one.keyId.equals(bytes.subarray(0, KEY_ID_BYTES)));
    return verifier !== undefined && verify(null, Buffer.from(text), verifier.publicKey, bytes.subarray(KEY_ID_BYTES));
  });
  return genuine ? text : undefined;
}
