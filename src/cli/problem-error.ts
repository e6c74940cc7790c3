import { PROBLEMS } from '../core/problem.ts';
import { CliError, exitCodeFor } from './exit-codes.ts';

/** A problem document in words: what, why, which fields, and the id that finds it in the broker's log. */
export function problemError(status: number, body: Record<string, unknown>): CliError {
  const text = (key: string): string => (typeof body[key] === 'string' ? body[key] : '');
  const faults = Array.isArray(body['errors']) ? (body['errors'] as { pointer: string; detail: string }[]) : [];
  const decision = body['decision'] as { id?: string; policies?: readonly string[] } | undefined;
  return new CliError(
    exitCodeFor(status, text('code')),
    headlineOf(text('title') || `the broker answered ${status}`, text('detail'), faults.some(({ detail }) => text('detail').includes(detail))),
    ...faults.map(({ pointer, detail }) => `  ${pointer || '/'} ${detail}`),
    ...(decision?.id === undefined ? [] : [`  decision ${decision.id}${(decision.policies ?? []).length > 0 ? ` by ${(decision.policies ?? []).join(', ')}` : ''}`]),
    ...(text('code') === 'policy_denied' && decision?.id !== undefined ? [`  an operator sees why: mayfly audit search --decision ${decision.id} --json`] : []),
    ...(text('request_id') === '' ? [] : [`  request ${text('request_id')}`]),
  );
}

/** Title and detail without saying a thing twice: many a detail begins as its title does, and faults have lines of their own. */
function headlineOf(title: string, detail: string, hasFaultLines: boolean): string {
  if (detail === '' || hasFaultLines) return title;
  if (title === PROBLEMS.not_found.title || detail.toLowerCase().startsWith(`${title.toLowerCase()} `)) return detail.charAt(0).toUpperCase() + detail.slice(1);
  const [clause = '', ...others] = detail.split(': ');
  const said = new Set(title.toLowerCase().split(' '));
  return [title, ...(clause.toLowerCase().split(' ').every((word) => said.has(word)) ? [] : [clause]), ...others].join(': ');
}
