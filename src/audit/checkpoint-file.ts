import { createReadStream } from 'node:fs';
import { access, open, stat } from 'node:fs/promises';
import { checkpointText, parseCheckpoint, type Checkpoint } from './checkpoint.ts';
import { linesOf } from './file-lines.ts';
import { nextLine } from './line-position.ts';
import { openNote, signNote, type NoteSigner, type NoteVerifier } from './signed-note.ts';

/** A checkpoint as it is kept: one JSON line `{"at": "...", "note": "..."}`. */
export interface KeptCheckpoint {
  readonly at: string;
  readonly note: string;
}

/** Checkpoints stand beside their audit file; copy them elsewhere as they come. */
export const checkpointFileOf = (auditFile: string): string => `${auditFile}.checkpoints`;

/** Signs where the chain stands and appends it, synced. */
export async function appendCheckpoint(auditFile: string, checkpoint: Checkpoint, signer: NoteSigner, at: string): Promise<void> {
  const kept: KeptCheckpoint = { at, note: signNote(checkpointText(checkpoint), signer) };
  const file = await open(checkpointFileOf(auditFile), 'a', 0o600);
  try {
    await file.appendFile(`${JSON.stringify(kept)}\n`);
    await file.datasync();
  } finally {
    await file.close();
  }
}

/** The newest checkpoint of a log, signed by whomever; undefined when there is none. */
export async function lastCheckpoint(auditFile: string): Promise<KeptCheckpoint | undefined> {
  for await (const kept of checkpointsNewestFirst(checkpointFileOf(auditFile))) return kept;
  return undefined;
}

/** The newest checkpoint of a log that one of these keys signed. */
export async function newestCheckpoint(auditFile: string, verifiers: readonly NoteVerifier[]): Promise<(Checkpoint & { readonly note: string }) | undefined> {
  for await (const { note } of checkpointsNewestFirst(checkpointFileOf(auditFile))) {
    const text = openNote(note, verifiers);
    const checkpoint = text === undefined ? undefined : parseCheckpoint(text);
    if (checkpoint !== undefined) return { ...checkpoint, note };
  }
  return undefined;
}

/** What one line of a checkpoint file is worth. */
export type JudgedCheckpoint =
  | { readonly line: number; readonly at: string; readonly checkpoint: Checkpoint }
  /** Not JSON, not a note, or not signed by any of the keys. */
  | { readonly line: number; readonly problem: 'torn' | 'unknown_key' };

/** Every checkpoint of a file, judged with these keys. Empty where there is no such file. */
export async function readCheckpoints(path: string, verifiers: readonly NoteVerifier[]): Promise<JudgedCheckpoint[]> {
  const judged: JudgedCheckpoint[] = [];
  for await (const { line, kept } of keptCheckpoints(path)) {
    const text = kept === undefined ? undefined : openNote(kept.note, verifiers);
    const checkpoint = text === undefined ? undefined : parseCheckpoint(text);
    judged.push(checkpoint === undefined || kept === undefined ? { line, problem: kept === undefined ? 'torn' : 'unknown_key' } : { line, at: kept.at, checkpoint });
  }
  return judged;
}

/** The checkpoints of a file, whoever signed them. Read from its end: there is one for each minute of years. */
export async function* checkpointsNewestFirst(path: string): AsyncGenerator<KeptCheckpoint> {
  if (!(await exists(path))) return;
  const { size } = await stat(path);
  for (let to = size; to > 0; ) {
    const start = to - BLOCK_BYTES <= 0 ? 0 : await nextLine(path, to - BLOCK_BYTES, to);
    const from = start === to ? 0 : start;
    const block: KeptCheckpoint[] = [];
    for await (const { text, ended } of linesOf(createReadStream(path, { start: from, end: to - 1 }))) {
      const kept = ended ? parseKept(text) : undefined;
      if (kept !== undefined) block.push(kept);
    }
    yield* block.reverse();
    to = from;
  }
}

const BLOCK_BYTES = 64 * 1024;

async function* keptCheckpoints(path: string): AsyncIterable<{ readonly line: number; readonly kept: KeptCheckpoint | undefined }> {
  if (!(await exists(path))) return;
  let line = 0;
  for await (const { text } of linesOf(createReadStream(path))) {
    line += 1;
    yield { line, kept: parseKept(text) };
  }
}

function parseKept(text: string): KeptCheckpoint | undefined {
  try {
    const { at, note } = JSON.parse(text) as Partial<KeptCheckpoint>;
    return typeof at === 'string' && typeof note === 'string' ? { at, note } : undefined;
  } catch {
    return undefined;
  }
}

const exists = (path: string): Promise<boolean> => access(path).then(() => true, () => false);
