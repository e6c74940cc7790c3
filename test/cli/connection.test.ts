import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { connectionSettings, type Caller, type ConnectionFlags } from '../../src/cli/connection-settings.ts';
import { runMayfly, runMayflyAlone } from '../support/run-mayfly.ts';
import { RunningBroker } from '../support/running-broker.ts';

let root: string;
/** Where a command is started, and the home of who starts it. */
let folder: string;
let home: string;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'mayfly-connection-'));
});
afterAll(() => rm(root, { recursive: true }));
beforeEach(async () => {
  const place = await mkdtemp(join(root, 'place-'));
  [folder, home] = [join(place, 'project'), join(place, 'home')];
  await mkdir(folder);
  await mkdir(join(home, '.config/mayfly'), { recursive: true });
});

const writeOwn = (text: string): Promise<void> => writeFile(join(home, '.config/mayfly/config.yaml'), text);
const writeFolder = (text: string): Promise<void> => writeFile(join(folder, '.mayfly.yaml'), text);
async function writeStack(url: string): Promise<void> {
  await mkdir(join(folder, '.mayfly'));
  await writeFile(join(folder, '.mayfly/dev.json'), JSON.stringify({ url, agent_token_file: '/dev-agent', operator_token_file: '/dev-operator', admin_token_file: '/dev-admin' }));
}
const settings = (flags: ConnectionFlags = {}, env: Readonly<Record<string, string>> = {}, caller: Caller = 'operator') => connectionSettings(flags, caller, { env: { HOME: home, ...env }, folder });
const own = (): string => join(home, '.config/mayfly/config.yaml');
const inFolder = (): string => join(folder, '.mayfly.yaml');

describe('which broker is called', () => {
  it('is said by a flag, before a variable, before the folder, before a development stack, before the own file', async () => {
    await writeOwn('addr: https://own.example\ntoken_file: token\n');
    expect((await settings()).addr).toEqual({ value: 'https://own.example', origin: `${own()}:1` });
    await writeStack('http://127.0.0.1:8120');
    expect((await settings()).addr).toEqual({ value: 'http://127.0.0.1:8120', origin: join(folder, '.mayfly/dev.json') });
    await writeFolder('\naddr: https://folder.example\ntoken_file: token\n');
    expect((await settings()).addr).toEqual({ value: 'https://folder.example', origin: `${inFolder()}:2` });
    const env = { MAYFLY_ADDR: 'https://env.example', MAYFLY_TOKEN: 't' };
    expect((await settings({}, env)).addr).toEqual({ value: 'https://env.example', origin: 'MAYFLY_ADDR' });
    expect((await settings({ addr: 'https://flag.example' }, env)).addr).toEqual({ value: 'https://flag.example', origin: '--addr' });
  });

  it('is in XDG_CONFIG_HOME where that is set', async () => {
    await mkdir(join(home, 'xdg/mayfly'), { recursive: true });
    await writeFile(join(home, 'xdg/mayfly/config.yaml'), 'addr: https://xdg.example\ntoken_file: ~/token\n');
    expect(await settings({}, { XDG_CONFIG_HOME: join(home, 'xdg') })).toMatchObject({ addr: { value: 'https://xdg.example' }, tokenFile: { value: join(home, 'token') } });
  });

  it('is asked for where nothing says it', async () => {
    await expect(settings()).rejects.toThrow(`write addr into ${own()}`);
  });
});

describe('what shows who calls', () => {
  it('goes only to the address it stands beside', async () => {
    await writeOwn('addr: https://own.example\ntoken_file: token\nca_file: ca.pem\n');
    expect(await settings()).toMatchObject({ tokenFile: { value: join(home, '.config/mayfly/token'), origin: `${own()}:2` }, caFile: { value: join(home, '.config/mayfly/ca.pem') } });
    // The same broker, whoever names it; and never another.
    expect(await settings({ addr: 'https://own.example/' })).toMatchObject({ tokenFile: { value: join(home, '.config/mayfly/token') } });
    await expect(settings({ addr: 'https://other.example' })).rejects.toThrow('no token is named');
    await writeStack('http://127.0.0.1:8120');
    await expect(settings({ addr: 'http://127.0.0.1:9999' })).rejects.toThrow('no token is named');
    for (const caller of ['agent', 'operator', 'admin'] as const) expect(await settings({}, {}, caller)).toMatchObject({ tokenFile: { value: `/dev-${caller}` } });
  });

  it('of the environment never goes where a file in this folder points', async () => {
    await writeFolder('addr: https://evil.example\n');
    const env = { MAYFLY_TOKEN: 'secret' };
    await expect(settings({}, env)).rejects.toThrow('your token is not sent there');
    await writeOwn('addr: https://own.example\ntoken_file: token\n');
    await expect(settings({}, env)).rejects.toThrow('your token is not sent there');
    // Control: it goes where its owner says, and a token that is named for this call goes along.
    expect(await settings({ addr: 'https://evil.example' }, env)).toMatchObject({ token: { value: 'secret' } });
    expect(await settings({ tokenFile: '/named' }, env)).toMatchObject({ addr: { value: 'https://evil.example' }, tokenFile: { value: '/named' } });
  });

  it('of the own file goes where a file in this folder points only when both name the same broker', async () => {
    await writeFolder('addr: https://own.example\n');
    await writeOwn('addr: https://own.example\ntoken_file: token\n');
    expect(await settings()).toMatchObject({ addr: { origin: `${inFolder()}:1` }, tokenFile: { origin: `${own()}:2` } });
  });

  it('is no file outside the folder whose settings name it', async () => {
    await writeFolder('addr: https://evil.example\ntoken_file: ../home/.ssh/id_ed25519\n');
    await expect(settings()).rejects.toThrow(`${inFolder()}:2: token_file must name a file in the folder`);
    await mkdir(join(home, '.ssh'));
    await writeFile(join(home, '.ssh/id_ed25519'), 'key');
    await symlink(join(home, '.ssh/id_ed25519'), join(folder, 'token'));
    await writeFolder('addr: https://evil.example\ntoken_file: token\n');
    await expect(settings()).rejects.toThrow('must name a file in the folder');
    // Control: one of its own is taken.
    await writeFile(join(folder, 'token-2'), 't');
    await writeFolder('addr: https://own.example\ntoken_file: token-2\n');
    expect(await settings()).toMatchObject({ tokenFile: { value: join(folder, 'token-2') } });
  });

  it('of a development stack goes to this machine alone', async () => {
    await writeStack('https://evil.example');
    await expect(settings()).rejects.toThrow('not on this machine');
  });

  it('is a certificate with its key, or nothing', async () => {
    await expect(settings({ addr: 'https://a.example', certFile: 'c.pem' })).rejects.toThrow('go together');
    expect(await settings({ addr: 'https://a.example', certFile: 'c.pem', keyFile: 'k.pem' })).not.toHaveProperty('tokenFile');
  });
});

describe('a settings file', () => {
  it.each<[string, string, RegExp]>([
    ['a key that is none', 'addr: https://a.example\ntoken: hunter2\n', /config\.yaml:2: token is no setting; there are addr, token_file/],
    ['a value that is no text', 'addr: [https://a.example]\n', /config\.yaml:1: addr must be text/],
    ['no mapping', '- addr\n', /config\.yaml:1: must be a mapping/],
    ['broken YAML', 'addr: "https://a\n', /config\.yaml:\d: /],
    ['plain http', 'addr: http://a.example\ntoken_file: t\n', /config\.yaml:1\) is plain http/],
  ])('with %s is refused with its line', async (_what, text, words) => {
    await writeOwn(text);
    await expect(settings()).rejects.toThrow(words);
  });

  it('that others can write is not followed', async () => {
    await writeOwn('addr: https://own.example\ntoken_file: token\n');
    await chmod(own(), 0o666);
    await expect(settings()).rejects.toThrow('can be written by others');
  });
});

describe('with a running broker', () => {
  let broker: RunningBroker;
  beforeAll(async () => {
    broker = await RunningBroker.start();
  }, 60_000);
  afterAll(() => broker.stop(), 30_000);

  it('whoami tells who an operator is, and its token stays unseen in config view', async () => {
    const operator = { of: 'olga', jwt: await broker.operatorToken() };
    expect((await runMayfly(broker, operator, ['whoami'])).stdout).toMatch(/^OPERATOR +olga\nissuer +http\S+\nrole +operator\nends in +\d+m/);
    expect(JSON.parse((await runMayfly(broker, operator, ['whoami', '--json'])).stdout)).toMatchObject({ caller: { subject: 'olga', role: 'operator' } });
    const { stdout } = await runMayfly(broker, operator, ['config', 'view', '--show-origin']);
    expect(stdout).toMatch(new RegExp(`addr +${broker.url} +--addr\ntoken_file +\\S+olga-token +--token-file`));
    expect(stdout).not.toContain(operator.jwt);
  }, 30_000);

  it('each request is told of with --verbose, with its ids, and no token', async () => {
    const operator = { of: 'olga', jwt: await broker.operatorToken() };
    const { stdout, stderr } = await runMayfly(broker, operator, ['whoami', '--verbose']);
    expect(stderr).toMatch(/^GET \/v1\/whoami: 200 in \d+ ms, request [0-9a-f-]{36}, trace [0-9a-f]{32}\n$/);
    expect(stdout + stderr).not.toContain(operator.jwt);
  }, 30_000);

  it('version tells that of the broker to anybody', async () => {
    const { version, broker: other } = JSON.parse((await runMayflyAlone(['version', '--json', '--addr', broker.url])).stdout) as { version: string; broker: object };
    expect(other).toEqual({ address: broker.url, version });
    expect((await runMayflyAlone(['version', '--addr', broker.url])).stdout).toBe(`MAYFLY  ${version}\nbroker  ${version} at ${broker.url}\n`);
  }, 30_000);

  it('an agent with an X.509-SVID needs no token', async () => {
    const { spiffe, tlsUrl } = broker.stack;
    const certificate = ['--addr', tlsUrl, '--cert-file', spiffe.agent.certificate_file, '--key-file', spiffe.agent.key_file];
    const run = (...args: string[]) => runMayflyAlone(args, { cwd: folder });
    expect((await run('whoami', ...certificate, '--ca-file', spiffe.caFile)).stdout).toMatch(/^WORKLOAD +spiffe:\/\/example\.org\/agent\/refunds\n/);
    const declared = await run('request', '--purpose', 'refund-investigation', '--action', 'read', '--credential', 'vault-token', '--json', ...certificate, '--ca-file', spiffe.caFile);
    expect(JSON.parse(declared.stdout)).toMatchObject({ task: { state: 'active', agent: 'spiffe://example.org/agent/refunds' } });
    // Control: a broker that nobody it trusts vouches for is not talked to.
    await expect(run('whoami', ...certificate)).rejects.toMatchObject({ code: 6, stderr: expect.stringMatching(/CERT|SELF_SIGNED|UNABLE/) as unknown });
  }, 30_000);
});
