import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { NOBODYS_HOME } from '../support/run-mayfly.ts';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

const ROOT = resolve(import.meta.dirname, '../..');
const EXAMPLE = join(ROOT, 'config/mayfly.yaml');

interface Ran {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly out: string;
  readonly err: string;
}

let folder: string;
/** A port where nothing listens. */
let deadPort: number;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'mayfly-cli-'));
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  deadPort = (server.address() as AddressInfo).port;
  server.close();
  await once(server, 'close');
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Runs the launcher as a user does, with nothing of this process's environment but the path. */
async function mayfly(args: readonly string[], options: { env?: Record<string, string>; cwd?: string; input?: string; node?: string } = {}): Promise<Ran> {
  const marks = process.env['MAYFLY_TEST_RUN'];
  const child = spawn(options.node ?? process.execPath, [join(ROOT, 'bin/mayfly.js'), ...args], {
    cwd: options.cwd ?? folder,
    env: { PATH: process.env['PATH'] ?? '', HOME: NOBODYS_HOME, ...(marks === undefined ? {} : { MAYFLY_TEST_RUN: marks }), ...options.env },
  });
  child.stdin.end(options.input ?? '');
  const closed = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
  const [out, err, [code, signal]] = await Promise.all([text(child.stdout), text(child.stderr), closed]);
  return { code, signal, out, err };
}

/** A folder with a development stack that does not run. */
function devFolder(name: string): string {
  const at = join(folder, name);
  mkdirSync(join(at, '.mayfly'), { recursive: true });
  writeFileSync(join(at, 'agent-token'), 'dev-agent-token');
  writeFileSync(join(at, '.mayfly/dev.json'), JSON.stringify({ url: `http://127.0.0.1:${deadPort}`, agent_token_file: join(at, 'agent-token'), operator_token_file: join(at, 'agent-token') }));
  return at;
}

const REQUEST = ['request', '--purpose', 'p', '--action', 'read', '--credential', 'orders-db'];

describe('the command line', () => {
  it('shows examples before options, on standard output', async () => {
    const commands = [['--help'], ['request', '--help'], ['revoke', '--help'], ['complete', '--help'], ['config', 'check', '--help']];
    for (const { code, out, err } of await Promise.all(commands.map((args) => mayfly(args)))) {
      expect({ code, err }).toEqual({ code: 0, err: '' });
      expect(out).toMatch(/^Examples?:\n {2}mayfly /);
      expect(out.indexOf('Usage:')).toBeGreaterThan(0);
    }
  });

  it('tells its version', async () => {
    expect(await mayfly(['--version'])).toMatchObject({ code: 0, out: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) as unknown, err: '' });
  });

  it.each<[string, readonly string[], RegExp]>([
    ['an unknown command', ['reqest'], /Did you mean request\?/],
    ['an unknown command of a group', ['policy', 'tset'], /Did you mean test\?/],
    ['an unknown command of a group that has a default', ['approvals', 'lss'], /unknown command 'lss'[^]*Did you mean ls\?/],
    ['another of them', ['hold', 'relese', '--reason', 'x'], /Did you mean release\?/],
    ['an unknown option', ['request', '--purpos', 'x'], /Did you mean --purpose\?/],
    ['a missing argument', ['complete'], /missing required argument 'task'/],
    ['an outcome that does not exist', ['complete', 'tsk_1', '--outcome', 'fine'], /Allowed choices are succeeded, failed, cancelled/],
    ['a role that does not exist', ['serve', '--config', 'x', '--role', 'king'], /Allowed choices are api, worker, all/],
    ['a revocation of nothing', ['revoke', '--reason', 'x'], /--lease, --task, .*--before or --all/],
    ['a revocation without a reason', ['revoke', '--task', 'tsk_1'], /--reason/],
    ['half a tool call', ['credentials', 'tsk_1', 'orders-db', '--tool', 'sql'], /go together/],
    ['no broker', REQUEST, /--addr or MAYFLY_ADDR/],
    ['no token', [...REQUEST, '--addr', 'http://127.0.0.1:1'], /no token is named/],
    ['an area that doctor does not look at', ['doctor', '--config', EXAMPLE, '--only', 'reddis'], /--only reddis: there are redis, vault, aws/],
    ['no configuration', ['config', 'check'], /--config/],
  ])('ends with 2 on %s, and says why on standard error', async (_what, args, words) => {
    const { code, out, err } = await mayfly(args);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toMatch(words);
    expect(err).not.toMatch(/\n {4}at /);
  });

  it('asks nobody when nobody is there: a revocation without --yes ends with 2', async () => {
    const { code, err } = await mayfly(['revoke', '--agent', 'a', '--reason', 'r', '--addr', `http://127.0.0.1:${deadPort}`], { env: { MAYFLY_TOKEN: 't' } });
    expect(code).toBe(2);
    expect(err).toContain('add --yes');
    // Control: with it, the command goes on, as far as a broker that is not there.
    expect((await mayfly(['revoke', '--agent', 'a', '--reason', 'r', '--yes', '--addr', `http://127.0.0.1:${deadPort}`], { env: { MAYFLY_TOKEN: 't' } })).code).toBe(6);
  });

  it('ends with 6 where no broker answers, and says where it looked', async () => {
    const address = `http://127.0.0.1:${deadPort}`;
    const { code, out, err } = await mayfly(REQUEST, { env: { MAYFLY_ADDR: address, MAYFLY_TOKEN: 't' } });
    expect({ code, out }).toEqual({ code: 6, out: '' });
    expect(err).toContain(`no broker answers at ${address} (from MAYFLY_ADDR)`);
    expect(err).toContain('npm start');
  });

  it('uses a development stack, and says so', async () => {
    const cwd = devFolder('dev');
    mkdirSync(join(cwd, 'deeper'));
    for (const at of [cwd, join(cwd, 'deeper')]) {
      const { code, err } = await mayfly(REQUEST, { cwd: at });
      expect(code).toBe(6);
      expect(err).toContain(`using the development agent's token of ${join(cwd, '.mayfly/dev.json')}`);
    }
  });

  it('says with --quiet only what is wrong, and with --verbose what became of each request', async () => {
    const cwd = devFolder('quiet');
    const [quiet, byVariable, verbose, plain] = await Promise.all([mayfly(['--quiet', ...REQUEST], { cwd }), mayfly(REQUEST, { cwd, env: { MAYFLY_QUIET: '1' } }), mayfly([...REQUEST, '-v'], { cwd }), mayfly(REQUEST, { cwd })]);
    for (const { code, err } of [quiet, byVariable]) {
      expect(code).toBe(6);
      expect(err).toMatch(/^no broker answers at /);
    }
    expect(verbose.err).toMatch(/\nPOST \/v1\/tasks: no answer in \d+ ms\nno broker answers at /);
    // Control: without either, words and no requests.
    expect(plain.err).toMatch(/^using the development agent's token/);
    expect(plain.err).not.toContain('POST /v1/tasks');
  });

  it('tells its version where no broker answers, too', async () => {
    const { code, out, err } = await mayfly(['version', '--json', '--addr', `http://127.0.0.1:${deadPort}`]);
    expect({ code, out: JSON.parse(out) as unknown }).toEqual({ code: 0, out: { version: expect.stringMatching(/^\d+\.\d+\.\d+$/) as unknown, broker: null } });
    expect(err).toContain('no broker answers');
  });

  it('never takes a development token to another address', async () => {
    const { code, err } = await mayfly([...REQUEST, '--addr', 'https://broker.invalid'], { cwd: devFolder('dev-elsewhere') });
    expect(code).toBe(2);
    expect(err).toContain('no token is named');
  });

  it('never sends a token in the clear beyond this machine', async () => {
    const env = { MAYFLY_TOKEN: 't' };
    expect(await mayfly([...REQUEST, '--addr', 'http://broker.invalid'], { env })).toMatchObject({ code: 2, err: expect.stringContaining('use https') as unknown });
    expect((await mayfly([...REQUEST, '--addr', `http://localhost:${deadPort}`], { env })).code).toBe(6);
  });

  it('takes the token from a file or standard input, before the environment', async () => {
    const at = ['--addr', `http://127.0.0.1:${deadPort}`];
    writeFileSync(join(folder, 'token'), 'from-a-file\n');
    expect((await mayfly([...REQUEST, ...at, '--token-file', 'token'])).code).toBe(6);
    expect((await mayfly([...REQUEST, ...at, '--token-file', '-'], { input: 'from-stdin\n' })).code).toBe(6);
    expect(await mayfly([...REQUEST, ...at, '--token-file', 'nowhere'], { env: { MAYFLY_TOKEN: 't' } })).toMatchObject({ code: 2, err: expect.stringContaining('nowhere') as unknown });
  });

  it('refuses a declaration that is no JSON', async () => {
    const env = { MAYFLY_TOKEN: 't', MAYFLY_ADDR: `http://127.0.0.1:${deadPort}` };
    expect(await mayfly(['request', '--file', '-'], { env, input: '{"purpose":' })).toMatchObject({ code: 2, err: expect.stringContaining('is not JSON') as unknown });
    expect((await mayfly(['request', '--file', '-'], { env, input: '{"purpose":"p"}' })).code).toBe(6);
  });
});

describe('config check', () => {
  it('finds the documented example good', async () => {
    const { code, out, err } = await mayfly(['config', 'check', '--no-files', '--config', EXAMPLE]);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toContain('is good');
  });

  it('reads no settings of the command line as settings of the broker', async () => {
    const env = { MAYFLY_CERT_FILE: 'c', MAYFLY_KEY_FILE: 'k', MAYFLY_CA_FILE: 'a' };
    expect(await mayfly(['--quiet', '--verbose', 'config', 'check', '--no-files', '--config', EXAMPLE], { env })).toMatchObject({ code: 0, err: '' });
  });

  it('tells each missing file with the line that names it', async () => {
    copyFileSync(EXAMPLE, join(folder, 'example.yaml'));
    const { code, out, err } = await mayfly(['config', 'check', '--config', 'example.yaml']);
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err).toMatch(/example\.yaml:\d+:\d+: keys\.ledger_seal_file names .*secrets\/ledger-seal, which is not there/);
    expect(err).toMatch(/providers\.vault-main\.login\.worker\.role_id_file/);
  });

  it('tells faults as one JSON document', async () => {
    writeFileSync(join(folder, 'bad.yaml'), 'environment: staging\nredis: { url: "redis://u:hunter2@h" }\n');
    const { code, out, err } = await mayfly(['config', 'check', '--json', '--config', 'bad.yaml'], { env: { MAYFLY_HTTP__PORT: 'x' } });
    expect(code).toBe(1);
    const { ok, faults } = JSON.parse(out) as { ok: boolean; faults: { key: string; line: number | null; where: string }[] };
    expect(ok).toBe(false);
    expect(faults).toContainEqual(expect.objectContaining({ key: 'environment', line: 1 }));
    expect(faults).toContainEqual(expect.objectContaining({ key: 'http.port', line: null, where: 'MAYFLY_HTTP__PORT' }));
    expect(out + err).not.toContain('hunter2');
  });

  it('takes the file from MAYFLY_CONFIG', async () => {
    expect((await mayfly(['config', 'check', '--no-files'], { env: { MAYFLY_CONFIG: EXAMPLE } })).code).toBe(0);
  });
});

describe('serve', () => {
  it('does not start on a bad configuration, and tells every fault', async () => {
    writeFileSync(join(folder, 'bad-serve.yaml'), 'environment: staging\ncolour: red\n');
    const { code, err } = await mayfly(['serve', '--config', 'bad-serve.yaml']);
    expect(code).toBe(1);
    expect(err).toContain('bad-serve.yaml:1:1: environment must be one of production, development; found "staging"');
    expect(err).toContain('colour is not a known key');
  });
});

describe('audit verify', () => {
  it('ends with 1 on a file that is not there', async () => {
    expect(await mayfly(['audit', 'verify', '/nowhere'])).toMatchObject({ code: 1, out: '', err: '/nowhere cannot be read\n' });
  });
});

describe('what starts quickly', () => {
  it('loads no schema library and no server for the commands of a client', async () => {
    const listing = `import { registerHooks } from 'node:module'; import { writeSync } from 'node:fs';
      registerHooks({ load(url, context, next) { writeSync(2, 'LOADED ' + url + '\\n'); return next(url, context); } });`;
    const hook = `data:text/javascript,${encodeURIComponent(listing)}`;
    const env = { MAYFLY_TOKEN: 't', MAYFLY_ADDR: `http://127.0.0.1:${deadPort}`, NODE_OPTIONS: `--import=${JSON.stringify(hook)}` };
    const client = (await mayfly(REQUEST, { env })).err;
    expect(client).toContain('task-commands.ts');
    expect(client).not.toMatch(/node_modules\/(zod|yaml|express|pino|ioredis|jose|@cedar-policy)\//);
    // Control: the hook sees such a load where there is one.
    expect((await mayfly(['config', 'check', '--no-files', '--config', EXAMPLE], { env: { NODE_OPTIONS: env.NODE_OPTIONS } })).err).toMatch(/node_modules\/zod\//);
  });
});
