import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs, styleText } from 'node:util';
import pg from 'pg';
import { readStack, stop } from '../read-stack.ts';
import { bySvid, byToken, typed, type Answer } from './party.ts';

/**
 * Who, why, and on whose behalf, against a running development stack: an orchestrator vouches for what agent A shall do, A
 * claims it over mTLS and hands a part to B, B tries to get more, an export waits for a human, and a human ends A.
 */

interface DevStack {
  readonly url: string;
  readonly tls_url: string;
  readonly tls_ca_file: string;
  readonly agent_svid: { readonly certificate_file: string; readonly key_file: string };
  readonly issuer: string;
  readonly issuer_key_file: string;
  readonly audience: string;
  readonly orchestrator_token_file: string;
  readonly second_agent_token_file: string;
  readonly operator_token_file: string;
  readonly viewer_token_file: string;
  readonly postgres: { readonly host: string; readonly port: number; readonly database: string } | null;
}

const A = 'spiffe://example.org/agent/refunds';
const B = 'agent:payouts';

const { values } = parseArgs({ options: { stack: { type: 'string', default: '.mayfly/dev.json' } } });
const stack = stackOf(resolve(values.stack));
const { url, postgres } = stack;
const orchestrator = byToken(url, stack.orchestrator_token_file);
const agentA = bySvid(stack.tls_url, { ca: stack.tls_ca_file, ...stack.agent_svid });
const agentB = byToken(url, stack.second_agent_token_file);

const step = (who: string, what: string): void => void process.stdout.write(`${styleText('cyan', who.padEnd(13), { stream: process.stdout })} ${what}\n`);
const expected = (answer: Answer, status: number): Answer => {
  if (answer.status === status) return answer;
  throw new Error(`the broker answered ${answer.status}: ${answer.detail ?? ''}`);
};

const folder = mkdtempSync(join(tmpdir(), 'delegated-refund-'));
try {
  const declaration = {
    agent: A,
    purpose: 'refund-investigation',
    justification: 'order 99 disputed',
    ticket: 'OPS-12',
    actions: ['read'],
    data_classes: ['pii'],
    ttl_seconds: 300,
    credentials: [{ name: 'orders-db', ttl_seconds: 300 }, { name: 'task-reference', ttl_seconds: 300 }],
  };
  const file = join(folder, 'declaration.json');
  writeFileSync(file, JSON.stringify(declaration));
  const signed = await typed(url, null, 'declaration', 'sign', '--file', file, '--agent-issuer', 'spiffe://example.org', '--key-file', stack.issuer_key_file, '--issuer', stack.issuer, '--subject', 'orchestrator:support-desk', '--audience', stack.audience);
  const declared = expected(await orchestrator.post('/v1/tasks', { ...declaration, evidence: { kind: 'orchestrator_signed', token: signed } }), 202);
  step('orchestrator', `vouches for ${A}: task ${declared.task.id}, ${declared.task.state}`);

  const task = expected(await agentA.post(`/v1/tasks/${declared.task.id}/claim`, {}), 201);
  step('agent A', `claims it over mTLS: ${task.credentials.map(({ name }) => name).join(', ')}`);

  const part = expected(await agentA.post(`/v1/tasks/${task.task.id}/delegate`, { agent: B, agent_issuer: stack.issuer, actions: ['read'], ttl_seconds: 120, credentials: [{ name: 'orders-db', ttl_seconds: 120 }] }), 202);
  step('agent A', `hands the orders to ${B}: task ${part.task.id}`);
  const held = expected(await agentB.post(`/v1/tasks/${part.task.id}/claim`, {}), 201);
  const session = await connect(held);
  step('agent B', `claims it and reads: ${String((await session.query<{ count: string }>('select count(*) from orders')).rows[0]?.count)} orders`);

  const wider = await agentB.post(`/v1/tasks/${part.task.id}/credentials`, { name: 'vault-token' });
  step('agent B', `asks for a Vault token, too: ${wider.status}, ${wider.detail ?? ''}`);

  const wanted = { purpose: 'data-export', justification: 'the customer asked for their data', actions: ['export'], ttl_seconds: 120, credentials: [{ name: 'orders-db', ttl_seconds: 120 }] };
  const waiting = expected(await agentA.post('/v1/tasks', wanted), 202);
  step('agent A', `wants to export: task ${waiting.task.id}, ${waiting.task.state}`);
  step('operator', await typed(url, stack.operator_token_file, 'approvals', 'approve', waiting.task.id, '--note', 'seen the request'));
  const exporting = expected(await agentA.post(`/v1/tasks/${waiting.task.id}/claim`, {}), 201);
  step('agent A', `claims the export: ${exporting.task.state}`);

  const cut = new Promise<number>((resolveCut) => session.once('end', () => resolveCut(performance.now())));
  const endedMs = performance.now();
  const revoking = typed(url, stack.operator_token_file, 'revoke', '--agent', A, '--reason', 'A behaves oddly', '--yes');
  const afterMs = Math.round((await cut) - endedMs);
  await revoking;
  step('operator', `ends agent A, and all that came from it`);
  step('agent B', `its database session is cut, ${afterMs} ms after the operator pressed the key; a new login: ${await tryLogin(held)}`);

  for (const { task: { id } } of [task, exporting]) {
    let told = '';
    // The record is written a moment after the fact.
    do {
      await sleep(200);
      told = await typed(url, stack.viewer_token_file, 'audit', 'story', id);
    } while (/: live$|it has not ended/m.test(told));
    step('auditor', `mayfly audit story ${id}`);
    process.stdout.write(`${told}\n`);
  }
} finally {
  rmSync(folder, { recursive: true });
}

async function connect({ credentials: [credential] }: Answer): Promise<pg.Client> {
  const { username: user = '', password = '' } = credential?.secret ?? {};
  const client = new pg.Client({ ...postgres, user, password });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

async function tryLogin(held: Answer): Promise<string> {
  try {
    await (await connect(held)).end();
    return 'it still works';
  } catch (error) {
    return error instanceof Error ? error.message : 'refused';
  }
}

function stackOf(file: string): DevStack & { readonly postgres: NonNullable<DevStack['postgres']> } {
  const found = readStack(file) as DevStack;
  return { ...found, postgres: found.postgres ?? stop('This example needs PostgreSQL, and the stack runs without it.') };
}
