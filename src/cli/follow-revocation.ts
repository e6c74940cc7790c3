import { setTimeout as sleep } from 'node:timers/promises';
import type { BrokerClient } from './broker-client.ts';
import { confirmed } from './confirmed.ts';
import { CliError, EXIT } from './exit-codes.ts';
import { say, tell } from './output.ts';
import { progressLine } from './progress-line.ts';
import { outlineOf, summaryOf, type RevocationAnswer } from './revocation-output.ts';
import type { Selector } from './selector-flags.ts';

/** Rows of a dry run that are shown before the question. */
const PREVIEW_ROWS = 10;
/** From this many on, `yes` is typed too easily: the name of what ends has to be typed. */
export const BULK = 10;
/** How long a revocation is followed in which nothing happens any more. */
const PATIENCE_MS = 10_000;
const LOOK_EVERY_MS = 200;

type Client = Pick<BrokerClient, 'call'>;

/** Shows what a revocation would end, and asks. Throws where the answer is no, or nobody is there to give one. */
export async function confirmRevocation(wanted: { readonly selector: Selector; readonly reason: string }, client: Client): Promise<void> {
  const outline = await dryRun(wanted, client);
  tell(outlineOf(outline, PREVIEW_ROWS));
  const [word, value] = Object.entries(wanted.selector)[0] ?? [];
  const bulk = outline.progress.total > BULK || word === 'all';
  const name = typeof value === 'string' ? value : word === 'leases' ? `${outline.progress.total} leases` : 'everything';
  if (!(await confirmed(bulk ? `This ends ${outline.progress.total} leases.` : 'End these?', bulk ? name : 'yes'))) throw new CliError(EXIT.failure, 'nothing was revoked');
}

/** What a revocation would end; nothing is written. */
export async function dryRun(wanted: { readonly selector: Selector; readonly reason: string }, client: Client): Promise<RevocationAnswer> {
  return (await client.call('POST', '/v1/revocations', { ...wanted, dry_run: true })).body['revocation'] as RevocationAnswer;
}

/** Follows a revocation to its end; `report` is given it with what became of each lease. Throws where something lives on. */
export async function settleRevocation(started: RevocationAnswer, client: Client, report: (ended: RevocationAnswer) => void): Promise<void> {
  const startedMs = performance.now();
  const ended = await withEveryResult(await follow(started, client), client);
  report(ended);
  const { stuck, failed, total } = ended.progress;
  if (stuck + failed > 0) throw new CliError(EXIT.failure, `${stuck + failed} could not be revoked now; they are tried again, and \`mayfly leases get <id>\` says why`);
  if (ended.state === 'running') throw new CliError(EXIT.pending, `some are still ending; each may live until the time shown, and \`mayfly revocation get ${ended.id ?? ''}\` says how far it is`);
  if (total > 0 && ended.state === 'done') say(`all of them within ${((performance.now() - startedMs) / 1000).toFixed(1)} s`);
}

/** Looks until it is done, or nothing happens for a while; on a terminal, one line says how far it is. */
async function follow(started: RevocationAnswer, client: Client): Promise<RevocationAnswer> {
  const line = progressLine();
  let now = started;
  let movedMs = performance.now();
  while (now.state === 'running' && !onlyWaitsForExpiry(now) && performance.now() - movedMs < PATIENCE_MS) {
    line.show(now.progress.ended, now.progress.total, `${summaryOf(now)}; it goes on by itself if you leave`);
    await sleep(LOOK_EVERY_MS);
    const { progress: before } = now;
    now = (await client.call('GET', `/v1/revocations/${now.id ?? ''}`)).body['revocation'] as RevocationAnswer;
    if (now.progress.ended !== before.ended || now.progress.not_asked !== before.not_asked || now.progress.total !== before.total) movedMs = performance.now();
  }
  line.clear();
  return now;
}

/** Whether all that lives on can only end by its own expiry: there is nothing to wait for. */
const onlyWaitsForExpiry = ({ progress, results, next_cursor: more }: RevocationAnswer): boolean =>
  more === null && progress.not_asked === 0 && results.every(({ may_live_until: until, revocability }) => until === null || revocability === 'none');

/** The same with all pages of its results. */
export async function withEveryResult(revocation: RevocationAnswer, client: Client): Promise<RevocationAnswer> {
  const results = [...revocation.results];
  let cursor = revocation.id === null ? null : revocation.next_cursor;
  while (cursor !== null) {
    const page = (await client.call('GET', `/v1/revocations/${revocation.id ?? ''}?${new URLSearchParams({ cursor }).toString()}`)).body['revocation'] as RevocationAnswer;
    results.push(...page.results);
    cursor = page.next_cursor;
  }
  return { ...revocation, results, next_cursor: null };
}
