import { createReadStream } from 'node:fs';
import { linesOf } from '../../audit/file-lines.ts';
import type { Evidence, FoundEvidence, MalformedLine } from './evidence.ts';
import { readSql } from './read-sql.ts';

/** One entry of a server log, whatever form it came in. */
interface LogEntry {
  readonly line: number;
  readonly atMs: number | null;
  readonly session: string;
  readonly user: string;
  readonly severity: string;
  readonly message: string;
}

/** OpenBao and Vault put the token's display name, which holds the lease, into a login's name; `_` becomes `-`. */
const LOGIN = /\bv-token-lse-([0-9a-f]{32})-/;
const STATEMENT = /^(?:duration: [\d.]+ ms {2})?(?:statement|execute [^:]*): ([\s\S]*)$/;
const SEVERITY = /\b(LOG|ERROR|FATAL|PANIC|WARNING|NOTICE|INFO|DEBUG[1-5]?|STATEMENT|DETAIL|HINT|CONTEXT|QUERY|LOCATION): {2}/;
/** No statement is longer; an unclosed quote must not swallow the rest of a file. */
const MAX_LINES = 10_000;

/**
 * What minted logins did, from logs of PostgreSQL in its three forms (`stderr`, `csvlog`, `jsonlog`), told apart by their first
 * line. Statements are there only with `log_statement` at `all` or `log_min_duration_statement` at 0. The span is null where
 * the logs hold no statement at all. Throws what the file system says.
 */
export async function readPostgresLogs(files: readonly string[]): Promise<FoundEvidence> {
  const evidence: Evidence[] = [];
  const malformed: MalformedLine[] = [];
  const times: { fromMs: number; toMs: number } = { fromMs: Infinity, toMs: -Infinity };
  let statements = 0;
  for (const file of files) {
    const leases = new Map<string, string>();
    const last = new Map<string, number>();
    for await (const entry of entriesOf(file, malformed)) {
      const { atMs, session, message, severity } = entry;
      if (atMs !== null) {
        times.fromMs = Math.min(times.fromMs, atMs);
        times.toMs = Math.max(times.toMs, atMs);
      }
      // The usual prefix names a process and no user: who it is was said when it connected.
      const said = LOGIN.exec(entry.user) ?? LOGIN.exec(/^connection authorized: (user=\S+)/.exec(message)?.[1] ?? '');
      if (message.startsWith('connection authorized: ')) leases.delete(session);
      if (said !== null) leases.set(session, `lse_${said[1] ?? ''}`);
      const sql = severity === 'LOG' ? STATEMENT.exec(message)?.[1] : undefined;
      if (sql !== undefined) statements += 1;
      const lease = leases.get(session);
      if (lease === undefined) continue;
      const read = sql === undefined ? undefined : readSql(sql);
      if (read !== undefined) {
        last.set(session, evidence.length);
        evidence.push({ lease, atMs, ...read, refused: false });
      }
      const refused = severity === 'ERROR' && message.startsWith('permission denied') ? last.get(session) : undefined;
      const before = refused === undefined ? undefined : evidence[refused];
      if (refused !== undefined && before !== undefined) evidence[refused] = { ...before, refused: true };
    }
  }
  return { evidence, malformed, span: statements === 0 || times.fromMs > times.toMs ? null : times };
}

async function* entriesOf(file: string, malformed: MalformedLine[]): AsyncGenerator<LogEntry> {
  let line = 0;
  let held: { readonly line: number; readonly text: string } | undefined;
  let form: Form | undefined;
  const parse = function* ({ line: at, text }: { readonly line: number; readonly text: string }): Generator<LogEntry> {
    if (text.trim() === '') return;
    const entry = form?.parse(text);
    if (entry === undefined) malformed.push({ file, line: at, detail: `is no entry of a PostgreSQL log (${form?.name ?? 'stderr'})` });
    else yield { line: at, ...entry };
  };
  for await (const { text } of linesOf(createReadStream(file))) {
    line += 1;
    form ??= formOf(text);
    if (held !== undefined && form.goesOn(held.text, text) && line - held.line < MAX_LINES) held = { line: held.line, text: `${held.text}\n${text}` };
    else {
      if (held !== undefined) yield* parse(held);
      held = { line, text };
    }
  }
  if (held !== undefined) yield* parse(held);
}

interface Form {
  readonly name: string;
  /** Whether a line belongs to what was read before it. */
  goesOn(before: string, line: string): boolean;
  parse(text: string): Omit<LogEntry, 'line'> | undefined;
}

const formOf = (firstLine: string): Form => (firstLine.startsWith('{') ? JSON_FORM : /^\d{4}-\d\d-\d\d [\d:.]+ \S+,/.test(firstLine) ? CSV_FORM : STDERR_FORM);

const STDERR_FORM: Form = {
  name: 'stderr',
  goesOn: (_before, line) => line.startsWith('\t'),
  parse(text) {
    const found = SEVERITY.exec(text);
    if (found === null) return undefined;
    const prefix = text.slice(0, found.index);
    return { atMs: instantOf(prefix), session: /\[(\d+)[\]-]/.exec(prefix)?.[1] ?? '', user: prefix, severity: found[1] ?? '', message: text.slice(found.index + found[0].length).replaceAll('\n\t', '\n') };
  },
};

const CSV_FORM: Form = {
  name: 'csvlog',
  goesOn: (before) => (before.split('"').length - 1) % 2 === 1,
  parse(text) {
    // log_time, user_name, database_name, process_id, ..., error_severity (12th), sql_state_code, message (14th).
    const cells = [...text.matchAll(/("(?:[^"]|"")*"|[^,]*)(?:,|$)/g)].map(([, cell = '']) => (cell.startsWith('"') ? cell.slice(1, -1).replaceAll('""', '"') : cell));
    const [time = '', user = '', , session = ''] = cells;
    const [severity, message] = [cells[11], cells[13]];
    return severity === undefined || message === undefined || !/^[A-Z]+\d?$/.test(severity) ? undefined : { atMs: instantOf(time), session, user, severity, message };
  },
};

const JSON_FORM: Form = {
  name: 'jsonlog',
  goesOn: () => false,
  parse(text) {
    try {
      const value = JSON.parse(text) as Readonly<Record<string, unknown>>;
      const word = (name: string): string => (typeof value[name] === 'string' ? value[name] : '');
      if (word('error_severity') === '') return undefined;
      return { atMs: instantOf(word('timestamp')), session: JSON.stringify(value['pid'] ?? null), user: word('user'), severity: word('error_severity'), message: word('message') };
    } catch {
      return undefined;
    }
  },
};

/** An instant as the server writes it. Only UTC can be told: other zones are names that mean what the server says they mean. */
function instantOf(text: string): number | null {
  const [, day, time] = /(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d+)?) (?:UTC|GMT)\b/.exec(text) ?? [];
  const ms = day === undefined || time === undefined ? NaN : Date.parse(`${day}T${time}Z`);
  return Number.isNaN(ms) ? null : ms;
}
