import type { Evidence } from './evidence.ts';

const READS = new Set(['SELECT', 'TABLE', 'VALUES', 'SHOW', 'FETCH', 'EXPLAIN', 'DECLARE']);
const WRITES = new Set(['INSERT', 'UPDATE', 'DELETE', 'MERGE', 'TRUNCATE', 'CREATE', 'ALTER', 'DROP', 'GRANT', 'REVOKE', 'REINDEX', 'REFRESH', 'COMMENT']);
const SESSION = new Set(['BEGIN', 'START', 'COMMIT', 'ROLLBACK', 'END', 'SET', 'RESET', 'DISCARD', 'SAVEPOINT', 'RELEASE', 'DEALLOCATE', 'CLOSE', 'LISTEN', 'UNLISTEN']);
/** Comments, strings and dollar quotes: nothing in them is a verb or a table. */
const NOISE = /--[^\n]*|\/\*[\s\S]*?\*\/|[eE]?'(?:[^'\\]|''|\\.)*'|\$(\w*)\$[\s\S]*?\$\1\$/g;
const TABLE = /\b(?:FROM|JOIN|INTO|UPDATE|TABLE|COPY|TRUNCATE)\s+(?:ONLY\s+)?((?:"[^"]+"|[a-z_][\w$]*)(?:\.(?:"[^"]+"|[a-z_][\w$]*))*)/gi;
const KEYWORDS = new Set(['select', 'only', 'table', 'lateral', 'unnest', 'values', 'set', 'stdin', 'stdout', 'program']);

/**
 * The verb of a statement and the tables it names. By its words, not by its grammar: a function can write under a SELECT, and a
 * view hides its tables. Undefined for what only steers the session.
 */
export function readSql(sql: string): Pick<Evidence, 'what' | 'effect' | 'objects'> | undefined {
  const text = sql.replace(NOISE, ' ').trim();
  const first = (/^\(*\s*([a-z]+)/i.exec(text)?.[1] ?? '').toUpperCase();
  const verb = first === 'WITH' ? (/\b(INSERT|UPDATE|DELETE|MERGE)\b/i.exec(text)?.[1]?.toUpperCase() ?? 'SELECT') : first;
  if (verb === '' || SESSION.has(verb)) return undefined;
  const named = [...text.matchAll(TABLE)].map(([, name = '']) => name.replaceAll('"', '')).filter((name) => !KEYWORDS.has(name.toLowerCase()));
  const own = new Set(first === 'WITH' ? [...text.matchAll(/(?:\bWITH|,)\s+(?:RECURSIVE\s+)?(\w+)\s+AS\b/gi)].map(([, name = '']) => name) : []);
  return { what: verb, effect: effectOf(verb, text), objects: [...new Set(named)].filter((name) => !own.has(name)) };
}

function effectOf(verb: string, text: string): Evidence['effect'] {
  if (verb === 'COPY') return /\bTO\b/i.test(text) ? 'read' : 'write';
  if (verb === 'SELECT' && /\bINTO\b/i.test(text)) return 'write';
  return READS.has(verb) ? 'read' : WRITES.has(verb) ? 'write' : 'unknown';
}
