import { isMap, isScalar, isSeq, LineCounter, parseDocument, visit, type Document } from 'yaml';
import type { ConfigPath } from './load-config.ts';

/** A place in the text; both count from 1. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

export interface DocumentFault extends Place {
  readonly detail: string;
}

export interface ConfigDocument {
  readonly value: unknown;
  /** Why the text cannot be used; `value` means nothing then. */
  readonly faults: readonly DocumentFault[];
  /** Where a key stands, or the nearest key above it that is there. */
  placeOf(key: ConfigPath): Place;
}

/**
 * Reads YAML 1.2 as plain data: one document, no key twice, no aliases (a few lines of them can unfold to gigabytes), no
 * tags. Never throws.
 */
export function readConfigDocument(text: string): ConfigDocument {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true, strict: true, prettyErrors: false });
  const place = (offset: number): Place => {
    const { line, col } = lines.linePos(offset);
    return { line, column: col };
  };
  const faults = [...document.errors, ...document.warnings].map((error) => ({ ...place(error.pos[0]), detail: explain(error.code, error.message) }));
  visit(document, {
    Alias: (_key, node) => void faults.push({ ...place(node.range?.[0] ?? 0), detail: 'is an alias; write the value out' }),
    Node: (_key, node) => {
      if (isScalar(node) || isMap(node) || isSeq(node)) {
        if (node.anchor !== undefined) faults.push({ ...place(node.range?.[0] ?? 0), detail: 'has an anchor; write the value out where it is needed' });
      }
    },
  });
  if (faults.length === 0 && !isMap(document.contents)) faults.push({ line: 1, column: 1, detail: 'must be a mapping of keys, as `environment: production`' });
  return {
    value: faults.length === 0 ? document.toJS() : undefined,
    faults,
    placeOf: (key) => place(offsetOf(document, key)),
  };
}

/** The parser's own words, but for what people really do wrong. */
function explain(code: string, message: string): string {
  switch (code) {
    case 'DUPLICATE_KEY':
      return 'is a key that stands here twice';
    case 'MULTIPLE_DOCS':
      return 'starts a second document; a configuration is one';
    case 'TAB_AS_INDENT':
      return 'is indented by a tab; YAML takes spaces only';
    default:
      return `is not valid YAML: ${message.split('\n')[0] ?? ''}`;
  }
}

/** A key's place, not its value's: that is what a reader looks for. Items of a list have no key and stand for themselves. */
function offsetOf(document: Document.Parsed, key: ConfigPath): number {
  let node: unknown = document.contents;
  let offset = 0;
  for (const part of key) {
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === String(part));
      if (pair === undefined) break;
      if (isScalar(pair.key)) offset = pair.key.range?.[0] ?? offset;
      node = pair.value;
    } else if (isSeq(node)) {
      const item = node.items[Number(part)];
      if (!isScalar(item) && !isMap(item) && !isSeq(item)) break;
      offset = item.range?.[0] ?? offset;
      node = item;
    } else break;
  }
  return offset;
}
