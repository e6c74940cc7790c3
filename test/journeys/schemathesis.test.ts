import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { OPERATIONS } from '../../src/http/openapi/operations.ts';
import { RunningBroker } from '../support/running-broker.ts';

/** Where `npm test` installed it; the suite is skipped, by name, where it could not be had. */
const SCHEMATHESIS = process.env['MAYFLY_TEST_SCHEMATHESIS'] ?? join(import.meta.dirname, '../../.mayfly/tools/schemathesis/bin/st');
/** The same requests at every run. */
const SEED = 42;
const EXAMPLES = 15;
/** Most of it is spent in well under a minute; a machine that builds at the same time is slow. */
const TIMEOUT_MS = 240_000;

const describeWithTool = isExecutable(SCHEMATHESIS) ? describe : describe.skip;

describeWithTool('Schemathesis, by /openapi.json of a running broker', () => {
  let broker: RunningBroker;
  let folder: string;

  beforeAll(async () => {
    broker = await RunningBroker.start();
    folder = await mkdtemp(join(tmpdir(), 'mayfly-schemathesis-'));
    const tokens = [
      ['workloadToken', await broker.agentToken()],
      ['operatorToken', await broker.operatorToken('admin')],
    ];
    await writeFile(join(folder, 'schemathesis.toml'), tokens.map(([scheme, token]) => `[auth.openapi.${scheme}]\nbearer = "${token}"\n`).join(''), { mode: 0o600 });
  }, 60_000);

  afterAll(async () => {
    await broker.stop();
    await rm(folder, { recursive: true, force: true });
  }, 30_000);

  /** Runs it; answers its exit code and what it printed. */
  async function schemathesis(...args: readonly string[]): Promise<{ readonly code: number; readonly output: string }> {
    const common = ['--config-file', 'schemathesis.toml', 'run'];
    const child = spawn('setpriv', ['--pdeathsig', 'TERM', SCHEMATHESIS, ...common, ...args, '--seed', String(SEED), '--no-color'], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (output += text));
    const [code] = (await once(child, 'close')) as [number | null];
    return { code: code ?? 1, output };
  }

  it(
    'finds no server error and no answer that is not described',
    async () => {
      // A stream does not end by itself, and a signed token it cannot write. What names exist no schema can say, so valid input may still be refused.
      const left = OPERATIONS.filter(({ answers, bodyType }) => bodyType === 'application/secevent+jwt' || Object.values(answers).some(({ mediaType }) => mediaType === 'text/event-stream'));
      const excluded = left.flatMap(({ id }) => ['--exclude-operation-id', id]);
      const { code, output } = await schemathesis(`${broker.url}/openapi.json`, '--exclude-checks', 'positive_data_acceptance', '--max-examples', String(EXAMPLES), ...excluded);
      if (code !== 0) throw new Error(output);
      expect(Number(/(\d+) generated/.exec(output)?.[1])).toBeGreaterThan(300);
      // It leaves out the address that it has the description from.
      expect(output).toContain(`Tested: ${OPERATIONS.length - left.length - 1}`);
    },
    TIMEOUT_MS,
  );

  it(
    'finds an answer that is not as described (control)',
    async () => {
      const document = (await broker.call('GET', '/openapi.json', null)).body;
      const wrong = JSON.stringify(document).replace('"const":"ok"', '"const":"fine"');
      await writeFile(join(folder, 'wrong.json'), wrong);
      const only = ['--include-operation-id', 'getLiveness', '--phases', 'fuzzing', '--max-examples', '1'];
      const { code, output } = await schemathesis('wrong.json', '--url', broker.url, ...only);
      expect(code).toBe(1);
      expect(output).toContain('"fine" was expected');
    },
    TIMEOUT_MS,
  );
});

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
