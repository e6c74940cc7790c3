import { randomUUID } from 'node:crypto';
import pg from 'pg';
import type { Credential, Mayfly, TaskAnswer } from './mayfly.ts';

export interface Order {
  readonly id: number;
  readonly customer: string;
  readonly status: string;
}

export interface Systems {
  readonly postgres: { readonly host: string; readonly port: number; readonly database: string };
  readonly openbao: { readonly address: string };
}

/** Every stage, as it happens; the terminal script prints them. */
export interface Stages {
  declared(task: TaskAnswer['task']): void;
  granted(tool: string, credential: Credential): void;
  worked(tool: string, result: string): void;
  extended(task: TaskAnswer['task']): void;
  completed(answer: TaskAnswer): void;
}

/**
 * Looks into one disputed order. It owns no credential: it declares what it is about to do, gets one credential for each
 * tool call, says what it did with it, and leaves nothing behind, whatever happens on the way.
 */
export async function investigate(orderId: number, mayfly: Mayfly, systems: Systems, stages: Stages): Promise<readonly Credential[]> {
  const held: Credential[] = [];
  const { task, credentials } = await mayfly.declare(
    {
      purpose: 'refund-investigation',
      justification: `order ${orderId} is disputed`,
      actions: ['read'],
      data_classes: ['pii'],
      ttl_seconds: 120,
      // A reference to show to the services it talks to: introspection says no as soon as the task ends.
      credentials: [{ name: 'task-reference' }],
    },
    randomUUID(),
  );
  held.push(...credentials);
  stages.declared(task);

  /** One tool call: its own credential, its work, its report. */
  const call = async <T>(tool: string, name: string, use: (credential: Credential) => Promise<T>, tell: (result: T) => string): Promise<T> => {
    const id = `call_${randomUUID()}`;
    const credential = await mayfly.credential(task.id, { name, ttl_seconds: 60, tool_call: { id, tool } });
    held.push(credential);
    stages.granted(tool, credential);
    try {
      const result = await use(credential);
      await mayfly.report(task.id, { id, tool, outcome: 'succeeded', lease_id: credential.lease_id });
      stages.worked(tool, tell(result));
      return result;
    } catch (error) {
      await mayfly.report(task.id, { id, tool, outcome: 'failed', lease_id: credential.lease_id });
      throw error;
    }
  };

  try {
    await call('sql.query', 'orders-db', (login) => readOrder(orderId, login, systems), (order) => `order ${order.id} of ${order.customer} is ${order.status}`);
    stages.extended((await mayfly.extend(task.id, 180)).task);
    await call('kv.read', 'vault-token', (token) => readShipping(token, systems), (shipping) => `shipped by ${shipping['carrier'] ?? 'nobody'}`);
    stages.completed(await mayfly.complete(task.id, 'succeeded', 'investigated'));
  } catch (error) {
    await mayfly.complete(task.id, 'failed', 'a tool call failed');
    throw error;
  }
  return held;
}

/** With the database login that exists for this one query. */
async function readOrder(orderId: number, login: Credential, { postgres }: Systems): Promise<Order> {
  const { username: user = '', password = '' } = login.secret;
  const client = new pg.Client({ ...postgres, user, password });
  await client.connect();
  try {
    const { rows } = await client.query<Order>('select orders.id, name as customer, status from orders join customers on customers.id = customer_id where orders.id = $1', [orderId]);
    const [order] = rows;
    if (order === undefined) throw new Error(`there is no order ${orderId}`);
    return order;
  } finally {
    await client.end();
  }
}

/** With the Vault token that reads what its token role allows, and nothing else. */
async function readShipping(token: Credential, { openbao }: Systems): Promise<Record<string, string>> {
  const response = await fetch(`${openbao.address}/v1/kv/data/orders/shipping`, { headers: { 'X-Vault-Token': token.secret['token'] ?? '' } });
  if (!response.ok) throw new Error(`OpenBao answered ${response.status}`);
  return ((await response.json()) as { data: { data: Record<string, string> } }).data.data;
}
