import type { BrokerClient } from '../broker-client.ts';
import type { LeaseAnswer } from '../lease-output.ts';
import { listOf } from '../list-pages.ts';
import type { OverviewAnswer } from './overview-answer.ts';

/** Leases that are asked for: those that fall due later are not looked at on a terminal. */
export const LEASES_AT_MOST = 500;

export interface Told {
  readonly overview: OverviewAnswer;
  readonly leases: readonly LeaseAnswer[];
}

/** How everything stands now; the leases of one tree where one is named. Throws `CliError`. */
export async function lookOnce(client: Pick<BrokerClient, 'call'>, tree: string | null): Promise<Told> {
  const [{ body }, { items }] = await Promise.all([
    client.call('GET', '/v1/overview'),
    listOf<LeaseAnswer>(client, '/v1/leases', { live: 'true', ...(tree === null ? {} : { tree }) }, String(LEASES_AT_MOST), () => undefined),
  ]);
  return { overview: body as unknown as OverviewAnswer, leases: items };
}
