import type { BrokerClient } from '../broker-client.ts';
import type { Candidate, ValueKind } from './complete-words.ts';

type Client = Pick<BrokerClient, 'call'>;
type Item = Readonly<Record<string, unknown>>;

/** As many as fit a screen; who has more types more. */
const LIMIT = 100;

/** What a broker has of a kind, to choose from. Rejects where it cannot be asked: completing is then without it. */
export async function brokerValues(kind: ValueKind, client: Client): Promise<Candidate[]> {
  switch (kind) {
    case 'lease':
      return (await items(client, '/v1/leases', { state: 'active' })).map((one) => candidate(one['id'], one['credential'], one['agent']));
    case 'task': {
      // An operator has no tasks of its own, and sees those that have leases.
      const tasks = await items(client, '/v1/tasks').catch(() => undefined);
      if (tasks !== undefined) return tasks.map((one) => candidate(one['id'], one['state'], one['purpose']));
      const leases = await items(client, '/v1/leases', { state: 'active' });
      return [...new Map(leases.map((one) => [one['task_id'], candidate(one['task_id'], one['purpose'], one['agent'])])).values()];
    }
    case 'approval':
      return (await items(client, '/v1/approvals', { state: 'waiting' })).map((one) => candidate(one['id'], (one['envelope'] as Item)['purpose'], one['risk']));
    case 'lock':
      return (await items(client, '/v1/locks', {}, false)).map((one) => candidate(one['id'], one['reason']));
    case 'agent':
      return (await items(client, '/v1/agents')).map((one) => candidate(one['subject'], one['owner'], one['state']));
    case 'webhook':
      return (await items(client, '/v1/webhooks', {}, false)).map((one) => candidate(one['name'], one['host'], one['state']));
    case 'file':
    case 'directory':
      return [];
    default:
      return kind satisfies never;
  }
}

async function items(client: Client, path: string, filters: Readonly<Record<string, string>> = {}, paged = true): Promise<Item[]> {
  const query = new URLSearchParams({ ...filters, ...(paged ? { limit: String(LIMIT) } : {}) }).toString();
  return (await client.call('GET', query === '' ? path : `${path}?${query}`)).body['items'] as Item[];
}

const candidate = (value: unknown, ...words: readonly unknown[]): Candidate => ({ value: String(value), description: words.map(String).join(' ') });
