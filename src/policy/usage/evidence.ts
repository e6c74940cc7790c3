/** One sign that a credential was used, wherever it was found. */
export interface Evidence {
  readonly lease: string;
  /** Null where the source writes times that cannot be read. */
  readonly atMs: number | null;
  /** What it did there, as far as its name tells. */
  readonly effect: 'read' | 'write' | 'unknown';
  /** A SQL verb, the name of an API event, a tool. */
  readonly what: string;
  /** Tables, where it was SQL. */
  readonly objects: readonly string[];
  /** The target refused it. */
  readonly refused: boolean;
}

/** A line that could not be read. */
export interface MalformedLine {
  readonly file: string;
  readonly line: number;
  readonly detail: string;
}

/** All that files of one kind say. */
export interface FoundEvidence {
  readonly evidence: readonly Evidence[];
  readonly malformed: readonly MalformedLine[];
  /** Between which instants the files tell anything; null where they tell nothing. */
  readonly span: { readonly fromMs: number; readonly toMs: number } | null;
}
