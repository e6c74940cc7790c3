import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { connectionSettings, ownAddress, type Caller, type ConnectionFlags } from '../../src/cli/connection-settings.ts';
import { keepLogin, loginPath } from '../../src/cli/login/login-store.ts';
import { LAUNCHER, runMayflyAlone } from '../support/run-mayfly.ts';
import { RunningBroker } from '../support/running-broker.ts';
import { SignInAtTerminal } from '../support/sign-in-at-terminal.ts';
import { Terminal } from '../support/terminal.ts';
import { until } from '../support/until.ts';

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'mayfly-login-'));
});
afterEach(() => rm(home, { recursive: true }));

const env = (): Readonly<Record<string, string>> => ({ HOME: home });
const kept = { token: 'a.secret.token', expiresAt: '2099-01-01T00:00:00Z' };

describe('which token a login is', () => {
  const settings = (flags: ConnectionFlags = {}, more: Readonly<Record<string, string>> = {}, caller: Caller = 'operator') => connectionSettings(flags, caller, { env: { ...env(), ...more }, folder: home });
  const own = 'https://own.example';

  it('is that of its broker alone, of operators alone', async () => {
    keepLogin({ address: own, ...kept }, env());
    expect(await settings({ addr: `${own}/` })).toMatchObject({ login: { value: kept.token, origin: loginPath(own, env()) } });
    await expect(settings({ addr: 'https://other.example' })).rejects.toThrow('run `mayfly login`');
    await expect(settings({ addr: own }, {}, 'agent')).rejects.toThrow('no token is named: use --token-file');
    expect(await settings({ addr: own }, {}, 'anyone')).not.toHaveProperty('login');
  });

  it('comes after a flag and a variable, before files', async () => {
    keepLogin({ address: own, ...kept }, env());
    await mkdir(join(home, '.config/mayfly'), { recursive: true });
    await writeFile(join(home, '.config/mayfly/config.yaml'), `addr: ${own}\ntoken_file: token\n`);
    expect(await settings()).toMatchObject({ login: { value: kept.token } });
    expect(await settings()).not.toHaveProperty('tokenFile');
    expect(await settings({ tokenFile: '/flag' })).not.toHaveProperty('login');
    expect(await settings({}, { MAYFLY_TOKEN: 't' })).not.toHaveProperty('login');
  });

  it('is not used where others can read it, or where it is none', async () => {
    keepLogin({ address: own, ...kept }, env());
    const file = loginPath(own, env());
    expect([(await stat(file)).mode & 0o777, (await stat(join(file, '..'))).mode & 0o777]).toEqual([0o600, 0o700]);
    await chmod(file, 0o640);
    await expect(settings({ addr: own })).rejects.toThrow('is open to others');
    await chmod(file, 0o600);
    await writeFile(file, '{"address":"https://other.example","token":"t","expires_at":"2099-01-01T00:00:00Z"}');
    await expect(settings({ addr: own })).rejects.toThrow('holds no login: run `mayfly login`');
  });

  it('is got for no broker that a file in a folder names', async () => {
    await writeFile(join(home, '.mayfly.yaml'), 'addr: https://evil.example\n');
    await expect(ownAddress({}, { env: env(), folder: home })).rejects.toThrow("may be somebody else's: name it with --addr https://evil.example");
    // Control: whoever names it means it.
    expect(await ownAddress({ addr: 'https://evil.example' }, { env: env(), folder: home })).toMatchObject({ addr: { origin: '--addr' } });
  });
});

describe('with a running broker', () => {
  let broker: RunningBroker;
  const begun: SignInAtTerminal[] = [];
  beforeAll(async () => {
    broker = await RunningBroker.start();
  }, 60_000);
  afterAll(async () => {
    for (const login of begun) login.close();
    await broker.stop();
  }, 30_000);

  const begin = (...args: readonly string[]): SignInAtTerminal => {
    const login = new SignInAtTerminal(['--addr', broker.url, ...args], env());
    begun.push(login);
    return login;
  };
  const run = (...args: readonly string[]) => runMayflyAlone([...args, '--addr', broker.url], { cwd: home, env: env() });

  it('a person signs in, is known, and signs out', async () => {
    await expect(run('whoami')).rejects.toMatchObject({ code: 2, stderr: expect.stringContaining('run `mayfly login`') as unknown });
    const login = begin();
    expect((await fetch(await login.pick('vera'))).status).toBe(200);
    expect(await login.ends()).toEqual({ code: 0, out: '' });
    expect(login.words).toMatch(new RegExp(`signed in to ${broker.url} as vera \\(viewer\\), for \\d+m`));
    expect((await run('whoami')).stdout).toMatch(/^OPERATOR +vera\n/);
    const file = loginPath(broker.url, env());
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    const { token } = JSON.parse(await readFile(file, 'utf8')) as { token: string };
    const { stdout } = await run('config', 'view', '--show-origin');
    expect(stdout).toContain(file);
    expect(login.words + stdout).not.toContain(token);
    // No half-written file is left beside it.
    expect(await readdir(join(file, '..'))).toHaveLength(1);
    expect((await run('logout')).stderr).toContain(`signed out of ${broker.url}`);
    await expect(run('whoami')).rejects.toMatchObject({ code: 2 });
    expect((await run('logout')).stderr).toContain('you are not signed in');
  }, 60_000);

  it('refuses an answer with another state, and goes on waiting for the right one', async () => {
    const login = begin('--json');
    const back = await login.pick('olga');
    const forged = new URL(back);
    forged.searchParams.set('state', 'another');
    expect((await fetch(forged)).status).toBe(400);
    expect((await fetch(new URL('/', back))).status).toBe(404);
    await expect(stat(loginPath(broker.url, env()))).rejects.toMatchObject({ code: 'ENOENT' });
    expect((await fetch(back)).status).toBe(200);
    const { code, out } = await login.ends();
    expect([code, JSON.parse(out)]).toEqual([0, { login: { address: broker.url, subject: 'olga', role: 'operator', expires_at: expect.any(String) as unknown } }]);
  }, 30_000);

  it.each<[string, (back: URL) => void, RegExp]>([
    ['a code that is none', (back) => back.searchParams.set('code', 'x'), /did not let you in: invalid_grant/],
    ['another issuer (RFC 9207)', (back) => back.searchParams.set('iss', 'https://evil.example'), /not as an OpenID Connect issuer does/],
    ['a refusal', (back) => back.searchParams.set('error', 'access_denied'), /did not let you in: access_denied/],
  ])('keeps nothing of %s', async (_what, change, words) => {
    const login = begin();
    const back = await login.pick('olga');
    change(back);
    expect((await fetch(back)).status).toBe(400);
    expect((await login.ends()).code).not.toBe(0);
    expect(login.words).toMatch(words);
    await expect(stat(loginPath(broker.url, env()))).rejects.toMatchObject({ code: 'ENOENT' });
  }, 30_000);

  it('keeps nothing of somebody whom the broker does not let in, and says why', async () => {
    const login = begin();
    await fetch(await login.pick('nora'));
    expect((await login.ends()).code).toBe(5);
    expect(login.words).toContain('none of the roles');
    await expect(stat(loginPath(broker.url, env()))).rejects.toMatchObject({ code: 'ENOENT' });
  }, 30_000);

  it('tells whose sign-in is over to sign in again; also where the broker finds it', async () => {
    keepLogin({ address: broker.url, token: 'x', expiresAt: new Date(Date.now() - 130_000).toISOString() }, env());
    await expect(run('leases', 'ls')).rejects.toMatchObject({ code: 5, stderr: expect.stringMatching(/^your sign-in to \S+ expired 2m \d\ds ago\nsign in again: mayfly login\n$/) as unknown });
    keepLogin({ address: broker.url, ...kept }, env());
    await expect(run('leases', 'ls')).rejects.toMatchObject({ code: 5, stderr: expect.stringMatching(/sign in again: mayfly login\n$/) as unknown });
    // Control: who brings a token is told nothing of logins.
    await expect(runMayflyAlone(['leases', 'ls', '--addr', broker.url], { cwd: home, env: { ...env(), MAYFLY_TOKEN: 'x' } })).rejects.toMatchObject({ code: 5, stderr: expect.not.stringContaining('mayfly login') as unknown });
  }, 30_000);

  it('opens the browser of a person who has one, and none where that is not wanted', async () => {
    const opened = join(home, 'opened');
    await writeFile(join(home, 'xdg-open'), `#!/bin/sh\nprintf %s "$1" > ${opened}\n`, { mode: 0o700 });
    const open = async (...args: readonly string[]): Promise<Terminal> => {
      const terminal = new Terminal([process.execPath, LAUNCHER, 'login', '--addr', broker.url, ...args], { env: { ...env(), PATH: `${home}:${process.env['PATH'] ?? ''}`, DISPLAY: ':0' }, columns: 1_000 });
      await terminal.shows('/authorize?');
      return terminal;
    };
    const shut = await open('--no-browser');
    const person = await open();
    try {
      await until(async () => (await readFile(opened, 'utf8').catch(() => '')) !== '', { what: 'a browser that opens' });
      const url = await readFile(opened, 'utf8');
      expect(person.text).toContain(url);
      expect(shut.text).not.toContain('your browser opens');
      await fetch(`${url}&person=ada`);
      await person.shows('as ada (admin)');
      expect(await person.ends()).toBe(0);
    } finally {
      shut.close();
      person.close();
    }
  }, 60_000);

  it('says where it is not offered', async () => {
    await broker.reconfigure((config) => {
      delete (config.operators as { cli?: object }).cli;
    });
    await expect(run('login')).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining('operators.cli') as unknown });
  }, 60_000);
});
