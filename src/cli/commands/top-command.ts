import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { createBrokerClient, type BrokerClient, type ConnectionFlags } from '../broker-client.ts';
import { examples } from '../examples.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { LiveReader } from '../live-reader.ts';
import { print, printJson, printable } from '../output.ts';
import { jsonOption } from '../output-flags.ts';
import { outcomeWords, type RevocationAnswer } from '../revocation-output.ts';
import { takeScreen } from '../top/screen.ts';
import { lookOnce, type Told } from '../top/look-once.ts';
import { listRows, topFrame } from '../top/top-frame.ts';
import { INITIAL, press, withLeases, type TopAct, type TopState } from '../top/top-state.ts';

type TopFlags = ConnectionFlags & { readonly once?: boolean; readonly json?: boolean };

/** Countdowns move by the second. */
const DRAW_EVERY_MS = 1_000;
/** Of a frame that is printed into a file. */
const ONCE_COLUMNS = 160;
const SIGNAL_CODES: Readonly<Partial<Record<NodeJS.Signals, number>>> = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 };

/** `mayfly top`: how everything stands, as it changes. */
export function addTopCommand(program: Command, connection: (command: Command) => Command): void {
  connection(program.command('top'))
    .description('watch how everything stands: what is overdue, what falls due next, providers and queues; revoke from there')
    .option('--once', 'print it once, with all live leases up to 500, and end')
    .addOption(jsonOption())
    .addHelpText('before', examples('mayfly top', 'mayfly top --once'))
    .addHelpText('after', '\n--json prints the overview and the leases once.')
    .action(async (flags: TopFlags) => {
      const client = createBrokerClient(flags, 'operator');
      if (flags.once !== true && flags.json !== true) {
        if (!process.stdin.isTTY || !process.stdout.isTTY) throw new CliError(EXIT.usage, 'this is no terminal: add --once to print it once, or --json; `mayfly leases watch` prints what changes line by line');
        await watch(client);
        return;
      }
      const told = await lookOnce(client, null);
      if (flags.json === true) printJson(told);
      else print(topFrame(withLeases({ ...INITIAL, overview: told.overview, stale: null }, told.leases), { rows: told.leases.length + 10, columns: process.stdout.columns || ONCE_COLUMNS }, client.nowMs()).slice(0, -2).join('\n'));
    });
}

/** Until `q`. Throws `CliError` where a signal ended it, with the code of that. */
async function watch(client: BrokerClient): Promise<void> {
  // What is wrong from the start is said on the terminal as it was, not on a screen that goes away.
  let state: TopState = withTold(INITIAL, await lookOnce(client, null));
  const stop = new AbortController();
  let signal: NodeJS.Signals | undefined;
  const reader = new LiveReader(client, {
    look: async () => {
      const { tree } = state;
      const told = await lookOnce(client, tree);
      // Another tree may have been chosen meanwhile.
      if (tree === state.tree) change(withTold(state, told));
    },
    failed: (error) => change({ ...state, stale: firstLine(error) }),
    signal: stop.signal,
  });
  const screen = takeScreen({
    key: (key) => {
      const { state: next, act } = press(state, key, listRows(screen.size()));
      change(next);
      if (act !== undefined) perform(act);
    },
    resize: () => draw(),
    end: (name) => {
      signal = name;
      stop.abort();
    },
  });
  const draw = (): void => {
    if (!stop.signal.aborted) screen.draw(topFrame(state, screen.size(), client.nowMs()));
  };
  const change = (next: TopState): void => {
    state = next;
    draw();
  };
  const perform = (act: TopAct): void => {
    switch (act.do) {
      case 'quit':
        stop.abort();
        return;
      case 'reload':
        reader.nudge();
        return;
      case 'revoke':
        void revokeOne(act.lease, act.reason, client).then((notice) => {
          change({ ...state, notice });
          reader.nudge();
        });
        return;
      default:
        act satisfies never;
    }
  };
  const timer = setInterval(draw, DRAW_EVERY_MS);
  try {
    draw();
    await reader.run();
  } finally {
    clearInterval(timer);
    screen.restore();
  }
  if (signal !== undefined) throw new CliError(SIGNAL_CODES[signal] ?? EXIT.failure);
}

const withTold = (state: TopState, { overview, leases }: Told): TopState => withLeases({ ...state, overview, stale: null }, leases);

const firstLine = (error: unknown): string => printable((error instanceof Error ? error.message : String(error)).split('\n')[0] ?? '');

/** How long one looks what became of a lease; it goes on by itself. */
const SETTLES_MS = 5_000;
const LOOK_EVERY_MS = 250;

/** Asks for the end of one lease; answers in words what became of it. */
async function revokeOne(lease: string, reason: string, client: BrokerClient): Promise<string> {
  try {
    let revocation = (await client.call('POST', '/v1/revocations', { selector: { lease }, reason, dry_run: false })).body['revocation'] as RevocationAnswer;
    for (const startedMs = performance.now(); revocation.state === 'running' && performance.now() - startedMs < SETTLES_MS; ) {
      await sleep(LOOK_EVERY_MS);
      revocation = (await client.call('GET', `/v1/revocations/${revocation.id ?? ''}`)).body['revocation'] as RevocationAnswer;
    }
    const [result] = revocation.results;
    return result === undefined ? `${lease} had ended already` : `${lease}: ${outcomeWords(result)}`;
  } catch (error) {
    return firstLine(error);
  }
}
