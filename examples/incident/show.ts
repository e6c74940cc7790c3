import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs, styleText } from 'node:util';
import { GetObjectCommand, S3Client } from '@aws-sdk/client-s3';
import pLimit from 'p-limit';
import { readStack, stop } from '../read-stack.ts';

/**
 * An agent is compromised while it holds hundreds of credentials at two providers. One command locks it and revokes all it
 * has; then every credential is tried again, as a thief would, and the receipts say when the last one was dead.
 */

interface DevStack {
  readonly url: string;
  readonly agent_token_file: string;
  readonly operator_token_file: string;
  readonly openbao: { readonly address: string } | null;
  readonly aws: { readonly endpoint: string; readonly region: string; readonly bucket: string } | null;
}

interface Credential {
  readonly name: string;
  readonly lease_id: string;
  readonly secret: Readonly<Record<string, string>>;
}

interface Receipt {
  readonly outcome: string;
  readonly provider: string;
  readonly ended_at: string;
  readonly exposure_seconds: number | null;
  readonly statement: string;
}

const AGENT = 'agent:refunds';
const LAUNCHER = join(import.meta.dirname, '../../bin/mayfly.js');
/** As many calls at once as a small machine bears. */
const several = pLimit(16);

const { values } = parseArgs({ options: { stack: { type: 'string', default: '.mayfly/dev.json' }, tasks: { type: 'string', default: '200' } } });
const stack = stackOf(resolve(values.stack));
const tasks = Number(values.tasks);
const second = stack.aws === null ? 'task-reference' : 'reports-bucket';

const step = (who: string, what: string): void => void process.stdout.write(`${styleText('cyan', who.padEnd(10), { stream: process.stdout })} ${what}\n`);
const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

async function call(tokenFile: string, method: string, path: string, body?: object): Promise<{ readonly status: number; readonly body: unknown }> {
  const response = await fetch(new URL(path, stack.url), {
    method,
    headers: { authorization: `Bearer ${readFileSync(tokenFile, 'utf8').trim()}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: await response.json() };
}

async function declare(): Promise<{ readonly status: number; readonly credentials: readonly Credential[]; readonly detail?: string }> {
  const wanted = { purpose: 'refund-investigation', actions: ['read'], ttl_seconds: 600, credentials: [{ name: 'vault-token' }, { name: second }] };
  const { status, body } = await call(stack.agent_token_file, 'POST', '/v1/tasks', wanted);
  return { status, ...(body as { readonly credentials: readonly Credential[]; readonly detail?: string }) };
}

async function receiptOf({ lease_id: lease }: Credential): Promise<Receipt> {
  return ((await call(stack.operator_token_file, 'GET', `/v1/leases/${lease}/receipt`)).body as { readonly receipt: Receipt }).receipt;
}

const startedMs = Date.now();
const declared = await Promise.all(Array.from({ length: tasks }, () => several(declare)));
const refused = declared.find(({ status }) => status !== 201);
if (refused !== undefined) throw new Error(`the broker answered ${refused.status}: ${refused.detail ?? ''}`);
const credentials = declared.flatMap((answer) => answer.credentials);
step(AGENT, `holds ${credentials.length} credentials of ${tasks} tasks, vault-token and ${second}, minted in ${seconds(Date.now() - startedMs)}`);
step('thief', `took them all: ${await working(credentials)} of ${credentials.length} work`);

const pressedMs = Date.now();
const typed = ['lock', 'create', '--agent', AGENT, '--for', '1h', '--revoke', '--reason', 'its token was seen in a log', '--yes'];
step('operator', `mayfly ${typed.map((word) => (word.includes(' ') ? `"${word}"` : word)).join(' ')}`);
const { code, output } = await run(typed);
const lock = /lock (lck_[0-9a-f]{32})/.exec(output)?.[1] ?? '';
try {
  // 7: something may live on, such as a signed token of an earlier task, which only its expiry ends.
  if (code !== 0 && code !== 7) throw new Error(`mayfly lock create ended with ${code}:\n${output}`);
  const lines = output.split('\n');
  process.stdout.write(`${lines.slice(0, 6).join('\n')}\n... and ${lines.length - 6} lines more\n`);
  step('operator', `has the answer after ${seconds(Date.now() - pressedMs)}`);
  step(AGENT, `asks for more: ${(await declare()).status}`);
  step('thief', `tries them all again: ${await working(credentials)} of ${credentials.length} work`);

  const receipts = await Promise.all(credentials.map((credential) => several(() => receiptOf(credential))));
  for (const [provider, own] of Map.groupBy(receipts, (receipt) => receipt.provider)) {
    const died = own.map(({ ended_at: at }) => Date.parse(at) - pressedMs);
    step('receipts', `${own.length} of ${provider}: ${own.filter(({ outcome }) => outcome === 'revoked').length} revoked; the first dead after ${seconds(Math.min(...died))}, the last after ${seconds(Math.max(...died))}; ${own[0]?.statement ?? ''}`);
  }
  step('receipts', `the last confirmed death came ${seconds(Math.max(...receipts.map(({ ended_at: at }) => Date.parse(at))) - pressedMs)} after the key was pressed`);
} finally {
  if (lock !== '') await run(['lock', 'rm', lock]);
}

/** How many of them still do what they were minted for. */
async function working(some: readonly Credential[]): Promise<number> {
  return (await Promise.all(some.map((credential) => several(() => works(credential))))).filter(Boolean).length;
}

async function works({ name, secret }: Credential): Promise<boolean> {
  if (name === 'vault-token') return (await fetch(`${stack.openbao.address}/v1/auth/token/lookup-self`, { headers: { 'X-Vault-Token': secret['token'] ?? '' } })).ok;
  if (stack.aws === null) {
    const form = new URLSearchParams({ token: secret['token'] ?? '' });
    const answer = await fetch(new URL('/oauth2/introspect', stack.url), { method: 'POST', body: form, headers: { authorization: `Bearer ${readFileSync(stack.agent_token_file, 'utf8').trim()}` } });
    return ((await answer.json()) as { active?: boolean }).active === true;
  }
  const { access_key_id: accessKeyId = '', secret_access_key: secretAccessKey = '', session_token: sessionToken = '' } = secret;
  const s3 = new S3Client({ endpoint: stack.aws.endpoint, region: stack.aws.region, forcePathStyle: true, credentials: { accessKeyId, secretAccessKey, sessionToken } });
  try {
    const { Body: body } = await s3.send(new GetObjectCommand({ Bucket: stack.aws.bucket, Key: 'october/refunds.csv' }));
    return (await body?.transformToString()) !== undefined;
  } catch (error) {
    if (error instanceof Error && error.name === 'AccessDenied') return false;
    throw error;
  } finally {
    s3.destroy();
  }
}

/** The command line, in a process of its own: what a person types. Its progress goes straight to the terminal. */
function run(words: readonly string[]): Promise<{ readonly code: number | null; readonly output: string }> {
  const child = spawn(process.execPath, [LAUNCHER, ...words, '--addr', stack.url, '--token-file', stack.operator_token_file], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (piece: Buffer) => (output += piece.toString()));
  return new Promise((resolveRun, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolveRun({ code, output: output.trim() }));
  });
}

function stackOf(file: string): DevStack & { readonly openbao: NonNullable<DevStack['openbao']> } {
  const found = readStack(file) as DevStack;
  return { ...found, openbao: found.openbao ?? stop('This example needs OpenBao, and the stack runs without it.') };
}
