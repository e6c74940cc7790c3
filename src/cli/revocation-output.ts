import { print, printJson, say, table, type Cell } from './output.ts';

export interface RevocationResult {
  readonly lease_id: string;
  readonly credential: string;
  readonly agent: string;
  readonly state: string;
  readonly revocability: string;
  readonly may_live_until: string | null;
}

/** A revocation as the broker tells it; `id` is null of a dry run. */
export interface RevocationAnswer {
  readonly id: string | null;
  readonly state: string;
  readonly progress: { readonly total: number; readonly ended: number; readonly pending: number; readonly stuck: number; readonly failed: number; readonly not_asked: number; readonly tasks: number };
  readonly results: readonly RevocationResult[];
  readonly next_cursor: string | null;
}

/** Prints what became of each lease, on standard output, and the count on standard error; or the whole as JSON. */
export function reportRevocation(revocation: RevocationAnswer, json: boolean): void {
  if (json) {
    printJson({ revocation });
    return;
  }
  print(resultTable(revocation, Infinity));
  say(summaryOf(revocation));
}

/** What would end, as it is shown before the question. */
export const outlineOf = (revocation: RevocationAnswer, rows: number): string => `${resultTable(revocation, rows)}\n${summaryOf(revocation)}`;

/** How far it is, in words. */
export function summaryOf({ state, progress }: RevocationAnswer): string {
  const { total, ended, tasks, stuck, failed, not_asked: notAsked } = progress;
  if (state === 'dry_run') return `${counted(total, 'lease')} and ${counted(tasks, 'task')} would end`;
  const exceptions = [...(stuck > 0 ? [`${stuck} cannot be revoked now`] : []), ...(failed > 0 ? [`${failed} without a record that can be read`] : [])];
  const words = [`${ended} of ${counted(total, 'lease')} ended`, ...exceptions].join('; ');
  return state === 'cancelled' ? `${words}; cancelled before ${notAsked} were asked for` : words;
}

const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`;

function resultTable({ state, results, progress }: RevocationAnswer, limit: number): string {
  const dryRun = state === 'dry_run';
  // What is not dead yet is what a person has to see: it comes first, and its own clock says how long it may matter.
  const sorted = dryRun ? results : [...results].sort((a, b) => Number(a.may_live_until === null) - Number(b.may_live_until === null));
  const rows = sorted.slice(0, limit).map((one): Cell[] => [one.lease_id, dryRun ? one.state : outcomeOf(one), one.credential, one.agent, ...(dryRun ? [one.revocability, one.may_live_until ?? '-'] : [])]);
  const more = progress.total > rows.length ? [`and ${progress.total - rows.length} more`] : [];
  const header = dryRun ? ['LEASE', 'STATE', 'CREDENTIAL', 'AGENT', 'REVOCABILITY', 'LIVES AT MOST UNTIL'] : ['LEASE', 'OUTCOME', 'CREDENTIAL', 'AGENT'];
  return [table(header, rows, 'no live lease matches'), ...more].join('\n');
}

/** The same in words alone. */
export function outcomeWords(result: RevocationResult): string {
  const outcome = outcomeOf(result);
  return typeof outcome === 'string' ? outcome : outcome[1];
}

/** Dead, and how; or until when it may live. Never `revoked` for what no target has confirmed. */
function outcomeOf({ state, may_live_until: until }: RevocationResult): Cell {
  if (state === 'disclosed') return ['yellow', 'disclosed: rotate it at its source'];
  if (until === null) return ['green', state];
  return state === 'stuck' ? ['red', `failed: may live until ${until}`] : ['yellow', `may live until ${until}`];
}
