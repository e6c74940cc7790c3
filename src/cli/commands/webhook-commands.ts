import type { Command } from 'commander';
import { createBrokerClient, type BrokerClient, type ConnectionFlags } from '../broker-client.ts';
import { examples } from '../examples.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { jsonOption, printList, withListOutput, type ListFlags } from '../output-flags.ts';
import { countdown, print, printJson, table, type Cell } from '../output.ts';

/** A webhook as `/v1/webhooks` tells it. */
interface WebhookAnswer {
  readonly name: string;
  readonly host: string;
  readonly format: string;
  readonly events: readonly string[];
  readonly state: 'enabled' | 'disabled';
  readonly disabled_at: string | null;
  readonly waiting: number;
  readonly next_try_at: string | null;
  readonly delivered_at: string | null;
  readonly failed_at: string | null;
  readonly failed_status: number | null;
  readonly given_up: number;
}

type OneFlags = ConnectionFlags & { readonly json?: boolean };

/** Commands about who is told of events: webhooks ls, get, enable, test. Addresses are in the configuration. */
export function addWebhookCommands(program: Command, connection: (command: Command) => Command): void {
  const webhooks = program.command('webhooks').description('who is told of events, and how that goes, as an operator');

  withListOutput(connection(webhooks.command('ls')))
    .description('list them, with what waits and what failed last')
    .addHelpText('before', examples('mayfly webhooks ls'))
    .action(async (flags: ConnectionFlags & ListFlags) => {
      const client = createBrokerClient(flags, 'operator');
      const items = await all(client);
      printList(flags, { items }, {
        header: ['WEBHOOK', 'HOST', 'STATE', 'WAITING', 'DELIVERED', 'LAST FAILURE', 'GIVEN UP'],
        row: (one) => [one.name, one.host, stateCell(one), String(one.waiting), countdown(one.delivered_at, client.nowMs()), failureWords(one, client.nowMs()), String(one.given_up)],
        none: 'no webhooks',
      });
    });

  connection(webhooks.command('get'))
    .description('one of them')
    .argument('<webhook>', 'its name in the configuration')
    .addOption(jsonOption())
    .addHelpText('before', examples('mayfly webhooks get soc'))
    .action(async (name: string, flags: OneFlags) => {
      const client = createBrokerClient(flags, 'operator');
      const webhook = (await all(client)).find((one) => one.name === name);
      if (webhook === undefined) throw new CliError(EXIT.notFound, `there is no webhook ${name} in the configuration of the broker; \`mayfly webhooks ls\` tells which there are`);
      show(flags, webhook, client);
    });

  connection(webhooks.command('enable'))
    .description('deliver again to one that answered 410 (gone), as an admin')
    .argument('<webhook>', 'its name in the configuration')
    .addOption(jsonOption())
    .addHelpText('before', examples('mayfly webhooks enable soc'))
    .action(async (name: string, flags: OneFlags) => {
      const client = createBrokerClient(flags, 'admin');
      show(flags, (await client.call('POST', `${pathOf(name)}/enable`, {})).body['webhook'] as WebhookAnswer, client);
    });

  connection(webhooks.command('test'))
    .description('post a `webhook.test` to one now, once, as an admin')
    .argument('<webhook>', 'its name in the configuration')
    .addOption(jsonOption())
    .addHelpText('before', examples('mayfly webhooks test soc'))
    .action(async (name: string, flags: OneFlags) => {
      const { body } = await createBrokerClient(flags, 'admin').call('POST', `${pathOf(name)}/test`, {});
      const { delivered, status, failure } = body['test'] as { delivered: boolean; status: number | null; failure: string | null };
      if (flags.json === true) printJson(body);
      if (!delivered) throw new CliError(EXIT.failure, `${name} did not take it: ${status === null ? (failure ?? 'no answer') : `it answered ${status}`}`);
      if (flags.json !== true) print(`${name} took it: it answered ${status ?? ''}`);
    });
}

const pathOf = (name: string): string => `/v1/webhooks/${encodeURIComponent(name)}`;

const all = async (client: BrokerClient): Promise<WebhookAnswer[]> => (await client.call('GET', '/v1/webhooks')).body['items'] as WebhookAnswer[];

const stateCell = ({ state }: WebhookAnswer): Cell => (state === 'disabled' ? ['red', state] : state);

const failureWords = ({ failed_at: failedAt, failed_status: status }: WebhookAnswer, nowMs: number): string =>
  failedAt === null ? '-' : `${status === null ? 'no answer' : `answered ${status}`}, ${countdown(failedAt, nowMs)}`;

function show({ json }: OneFlags, webhook: WebhookAnswer, client: BrokerClient): void {
  if (json === true) {
    printJson({ webhook });
    return;
  }
  const nowMs = client.nowMs();
  const { name, host, format, events, disabled_at: disabledAt, waiting, next_try_at: nextTryAt, delivered_at: deliveredAt, given_up: givenUp } = webhook;
  const rows: Cell[][] = [
    ['state', stateCell(webhook)],
    ...(disabledAt === null ? [] : [['gone since', `${disabledAt}; it answered 410, and \`mayfly webhooks enable ${name}\` tries it again`]]),
    ['host', host],
    ['format', format],
    ['events', events.join(', ')],
    ['waiting', String(waiting)],
    ...(nextTryAt === null ? [] : [['next try', countdown(nextTryAt, nowMs)]]),
    ['delivered', countdown(deliveredAt, nowMs)],
    ['last failure', failureWords(webhook, nowMs)],
    ['given up', String(givenUp)],
  ];
  print(table(['WEBHOOK', name], rows, ''));
}
