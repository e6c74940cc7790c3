import { undescribed } from './described-answer.ts';

/** Of a form; what is undefined is left out. */
export type Fields = Readonly<Record<string, string | undefined>>;

export interface FormAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Record<string, unknown>;
}

/** Posts a form, or a body as it stands. Throws when the answer is not one that src/http/openapi describes. */
export async function postForm(url: string, path: string, fields: Fields | string, headers: Readonly<Record<string, string>> = {}): Promise<FormAnswer> {
  const given = typeof fields === 'string' ? fields : new URLSearchParams(Object.entries(fields).flatMap(([name, value]): [string, string][] => (value === undefined ? [] : [[name, value]])));
  const response = await fetch(`${url}${path}`, { method: 'POST', headers: { 'Content-Type': 'application/x-www-form-urlencoded', ...headers }, body: given });
  const answer = { status: response.status, headers: response.headers, body: (await response.json()) as Record<string, unknown> };
  const fault = undescribed('POST', path, answer);
  if (fault !== null) throw new Error(fault);
  return answer;
}
