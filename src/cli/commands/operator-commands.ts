import type { Command } from 'commander';
import { createBrokerClient, type ConnectionFlags } from '../broker-client.ts';
import { countdown, print, printJson, table } from '../output.ts';

interface LeaseAnswer {
  readonly id: string;
  readonly task_id: string;
  readonly agent: string;
  readonly credential: string;
  readonly provider: string;
  readonly state: string;
  readonly revocability: string;
  readonly expires_at: string;
  readonly attempts: number;
  readonly last_failure: string | null;
}

/** Commands of an operator: leases. */
export function addOperatorCommands(program: Command, connection: (command: Command) => Command): void {
  const leases = program.command('leases').description('look at leases, as an operator');
  connection(leases.command('ls'))
    .description('list leases; with a live --state, soonest due first')
    .option('--state <state>')
    .option('--provider <name>')
    .option('--due-before <instant>', 'RFC 3339')
    .option('--limit <n>', 'leases at most', '50')
    .option('--json')
    .action(async (flags: ConnectionFlags & { state?: string; provider?: string; dueBefore?: string; limit: string; json?: boolean }) => {
      const query = new URLSearchParams({ limit: flags.limit });
      if (flags.state !== undefined) query.set('state', flags.state);
      if (flags.provider !== undefined) query.set('provider', flags.provider);
      if (flags.dueBefore !== undefined) query.set('due_before', flags.dueBefore);
      const { body } = await createBrokerClient(flags, 'operator').call('GET', `/v1/leases?${query.toString()}`);
      if (flags.json === true) {
        printJson(body);
        return;
      }
      const items = body['items'] as LeaseAnswer[];
      print(
        table(
          ['LEASE', 'STATE', 'DUE', 'CREDENTIAL', 'PROVIDER', 'AGENT', 'TRIES'],
          items.map((lease) => [lease.id, lease.state, countdown(lease.expires_at, Date.now()), lease.credential, lease.provider, lease.agent, String(lease.attempts)]),
          'no leases',
        ),
      );
    });
  connection(leases.command('get'))
    .description('one lease, as JSON')
    .argument('<lease>')
    .option('--json')
    .action(async (lease: string, flags: ConnectionFlags) => {
      printJson((await createBrokerClient(flags, 'operator').call('GET', `/v1/leases/${encodeURIComponent(lease)}`)).body);
    });
  connection(leases.command('retry'))
    .description('try a stuck revocation again now')
    .argument('<lease>')
    .option('--json')
    .action(async (lease: string, flags: ConnectionFlags) => {
      printJson((await createBrokerClient(flags, 'operator').call('POST', `/v1/leases/${encodeURIComponent(lease)}/retry`, {})).body);
    });

  connection(leases.command('acknowledge'))
    .description('say that a stuck revocation was seen, and why it stands; it is tried as before')
    .argument('<lease>')
    .requiredOption('--reason <text>', 'for the record')
    .option('--json')
    .action(async (lease: string, flags: ConnectionFlags & { reason: string }) => {
      printJson((await createBrokerClient(flags, 'operator').call('POST', `/v1/leases/${encodeURIComponent(lease)}/acknowledge`, { reason: flags.reason })).body);
    });
}
