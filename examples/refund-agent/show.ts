import { resolve } from 'node:path';
import { parseArgs, styleText } from 'node:util';
import pg from 'pg';
import { readStack, stop } from '../read-stack.ts';
import { Mayfly, type Credential } from './mayfly.ts';
import { investigate, type Stages, type Systems } from './refund-agent.ts';

/** Shows every stage of one investigation against a running development stack, and then that nothing of it is left alive. */

interface DevStack {
  readonly url: string;
  readonly agent_token_file: string;
  readonly postgres: Systems['postgres'] | null;
  readonly openbao: Systems['openbao'] | null;
}

const { values } = parseArgs({ options: { stack: { type: 'string', default: '.mayfly/dev.json' }, order: { type: 'string', default: '96' } } });
const stack = stackOf(resolve(values.stack));

const step = (title: string, text: string): void => void process.stdout.write(`${styleText('cyan', title.padEnd(10), { stream: process.stdout })} ${text}\n`);
const at = (instant: string): string => new Date(instant).toISOString().slice(11, 19);
const stages: Stages = {
  declared: (task) => step('declared', `task ${task.id}, ends at ${at(task.expires_at)} unless it completes first`),
  granted: (tool, { name, lease_id: lease, expires_at: due }) => step('granted', `${name} for ${tool}: lease ${lease}, due at ${at(due)}`),
  worked: (tool, result) => step('worked', `${tool}: ${result}`),
  extended: (task) => step('extended', `now until ${at(task.expires_at)}`),
  completed: ({ credentials }) => {
    step('completed', 'every credential of the task is ended:');
    for (const { name, state } of credentials as unknown as { name: string; state: string }[]) step('', `${name.padEnd(16)} ${state}`);
  },
};

const held = await investigate(Number(values.order), new Mayfly(stack.url, stack.agent_token_file), stack, stages);
for (const credential of held) await prove(credential);

/** Uses a credential once more, as a thief would. */
async function prove({ name, secret }: Credential): Promise<void> {
  if (name === 'orders-db') step('proof', `a new login as ${secret['username'] ?? ''}: ${await tryLogin(secret)}`);
  if (name === 'vault-token') {
    const { status } = await fetch(`${stack.openbao.address}/v1/auth/token/lookup-self`, { headers: { 'X-Vault-Token': secret['token'] ?? '' } });
    step('proof', `OpenBao about the token: ${status === 403 ? 'permission denied' : `it still lives (${status})`}`);
  }
}

async function tryLogin({ username: user = '', password = '' }: Credential['secret']): Promise<string> {
  const client = new pg.Client({ ...stack.postgres, user, password });
  try {
    await client.connect();
    await client.end();
    return 'it still works';
  } catch (error) {
    return error instanceof Error ? error.message : 'refused';
  }
}

function stackOf(file: string): DevStack & Systems {
  const found = readStack(file) as DevStack;
  const { postgres, openbao } = found;
  if (postgres === null || openbao === null) return stop('This example needs PostgreSQL and OpenBao; the stack runs without one of them.');
  return { ...found, postgres, openbao };
}
