import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Agent, request } from 'undici';

const LAUNCHER = join(import.meta.dirname, '../../bin/mayfly.js');
const run = promisify(execFile);

/** What a broker answered. */
export interface Answer {
  readonly status: number;
  readonly task: { readonly id: string; readonly state: string };
  readonly credentials: readonly { readonly name: string; readonly lease_id: string; readonly secret: Readonly<Record<string, string>> }[];
  readonly detail?: string;
}

/** Somebody who calls the broker over HTTP. */
export interface Party {
  post(path: string, body: object): Promise<Answer>;
}

/** A workload that proves who it is by a token in a file. */
export const byToken = (url: string, tokenFile: string): Party => ({
  post: (path, body) => post(new URL(path, url), body, { authorization: `Bearer ${readFileSync(tokenFile, 'utf8').trim()}` }),
});

/** A workload that proves who it is by its X.509-SVID, over mTLS; there is no token that could be stolen. */
export function bySvid(url: string, files: { readonly ca: string; readonly certificate_file: string; readonly key_file: string }): Party {
  const connect = { ca: readFileSync(files.ca), cert: readFileSync(files.certificate_file), key: readFileSync(files.key_file) };
  const agent = new Agent({ connect });
  return { post: (path, body) => post(new URL(path, url), body, {}, agent) };
}

async function post(url: URL, body: object, headers: Readonly<Record<string, string>>, dispatcher?: Agent): Promise<Answer> {
  const { statusCode, body: answer } = await request(url, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json' },
    body: JSON.stringify(body),
    ...(dispatcher === undefined ? {} : { dispatcher }),
  });
  return { ...((await answer.json()) as Answer), status: statusCode };
}

/** The command line, in a process of its own: what a person types in another terminal. */
export async function typed(url: string, tokenFile: string | null, ...args: readonly string[]): Promise<string> {
  const connection = tokenFile === null ? [] : ['--addr', url, '--token-file', tokenFile];
  const { stdout } = await run(process.execPath, [LAUNCHER, ...args, ...connection]);
  return stdout.trim();
}
