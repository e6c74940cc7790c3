import type { BrokerClient } from './broker-client.ts';
import { CliError, EXIT } from './exit-codes.ts';
import type { LeaseAnswer } from './lease-output.ts';
import { listOf } from './list-pages.ts';
import { LiveReader } from './live-reader.ts';
import { say } from './output.ts';

/** Leases that are followed: more than that is for `/v1/events`. */
const AT_MOST = '5000';

/**
 * Tells of each lease that fits: first as it stands, then whenever it changed, and once more when it is no longer among them. Goes on where the
 * broker was away; rejects with `CliError` where it refuses, and resolves when `signal` says so.
 */
export async function watchLeases(client: Pick<BrokerClient, 'call' | 'stream'>, filters: Readonly<Record<string, string | undefined>>, tell: (lease: LeaseAnswer) => void, signal: AbortSignal): Promise<void> {
  let known = new Map<string, LeaseAnswer>();
  let away = false;
  const look = async (): Promise<void> => {
    const { items } = await listOf<LeaseAnswer>(client, '/v1/leases', filters, AT_MOST);
    away = false;
    const now = new Map(items.map((lease) => [lease.id, lease]));
    for (const lease of items) if (JSON.stringify(known.get(lease.id)) !== JSON.stringify(lease)) tell(lease);
    for (const id of known.keys()) if (!now.has(id)) tell((await client.call('GET', `/v1/leases/${encodeURIComponent(id)}`)).body['lease'] as LeaseAnswer);
    known = now;
  };
  const failed = (error: unknown): void => {
    if (!(error instanceof CliError) || (error.exitCode !== EXIT.upstream && error.exitCode !== EXIT.pending)) throw error;
    if (!away) say(`${error.lines[0] ?? ''}; asking again`);
    away = true;
  };
  await new LiveReader(client, { look, failed, signal }).run();
}
