import { describe, expect, it } from '@jest/globals';
import { faultsOf, load, RIGHT } from './config-fixture.ts';

const SECRET = 'client_secret_file: s';
/** The right configuration with sign-in; its settings stand on line 12. */
const withSignIn = (settings: string, url = 'https://mayfly.test'): string =>
  RIGHT.replace('  audience: mayfly-operators\n', `  audience: mayfly-operators\n  sign_in: { ${settings} }\n`).concat(url === '' ? '' : `http: { public_url: "${url}" }\n`);

describe('sign-in in a configuration', () => {
  it('has its defaults, and is left out where nobody signs in', () => {
    expect(load(withSignIn(`client_id: d, ${SECRET}`)).operators.sign_in).toMatchObject({ client_secret_by: 'basic', scopes: ['openid'], idle_minutes: 30, max_hours: 12 });
    expect(load(withSignIn('client_id: d, client_key_file: k')).operators.sign_in).toMatchObject({ client_id: 'd' });
    expect(load(RIGHT).operators.sign_in).toBeUndefined();
  });

  it.each<[string, string, string, RegExp]>([
    ['neither secret nor key', 'client_id: d', '', /needs either client_secret_file or client_key_file/],
    ['both of them', `client_id: d, ${SECRET}, client_key_file: k`, '', /needs either/],
    ['the audience of workloads for its client', `client_id: "https://mayfly.test", ${SECRET}`, '.client_id', /also the audience of workloads/],
    ['a longer rest than its sessions live', `client_id: d, ${SECRET}, idle_minutes: 61, max_hours: 1`, '.idle_minutes', /at most max_hours/],
    ['sessions of more than a day', `client_id: d, ${SECRET}, max_hours: 25`, '.max_hours', /24/],
    ['two scopes in one', `client_id: d, ${SECRET}, scopes: ["openid email"]`, '.scopes.0', /a scope/],
    ['a secret in the open', 'client_id: d, client_secret: s', '.client_secret', /./],
  ])('with %s is refused at its line', (_what, settings, key, detail) => {
    const [fault] = faultsOf(withSignIn(settings));
    expect(fault).toMatchObject({ line: 12, key: `operators.sign_in${key}`, detail: expect.stringMatching(detail) as unknown });
  });

  it('needs an address for the browser to come back to', () => {
    expect(faultsOf(withSignIn(`client_id: d, ${SECRET}`, ''))).toMatchObject([{ line: 12, key: 'operators.sign_in', detail: expect.stringMatching(/needs http\.public_url/) as unknown }]);
  });
});

describe('sign-in at a terminal in a configuration', () => {
  const withCli = (settings: string): string => withSignIn(`client_id: d, ${SECRET}`).replace('  sign_in:', `  cli: { ${settings} }\n  sign_in:`);

  it('has its defaults', () => {
    expect(load(withCli('client_id: c')).operators.cli).toEqual({ client_id: 'c', scopes: ['openid'], audience_parameter: 'none' });
  });

  it.each<[string, string, string, RegExp]>([
    ['the client of the browser', 'client_id: d', '.client_id', /also that of sign_in/],
    ['the audience of workloads for its client', 'client_id: "https://mayfly.test"', '.client_id', /also the audience of workloads/],
    ['a secret, which a command line cannot keep', 'client_id: c, client_secret_file: s', '.client_secret_file', /./],
  ])('with %s is refused at its line', (_what, settings, key, detail) => {
    const [fault] = faultsOf(withCli(settings));
    expect(fault).toMatchObject({ line: 12, key: `operators.cli${key}`, detail: expect.stringMatching(detail) as unknown });
  });
});

describe('what keeps strangers from sign-in', () => {
  it('has its defaults, and must fit together', () => {
    expect(load(withSignIn(`client_id: d, ${SECRET}`)).operators.sign_in).toMatchObject({ requests_per_minute_per_address: 120, requests_per_minute: 1_200 });
    expect(faultsOf(withSignIn(`client_id: d, ${SECRET}, requests_per_minute: 100`))).toMatchObject([{ key: 'operators.sign_in.requests_per_minute_per_address', detail: 'must be at most requests_per_minute' }]);
  });

  it('takes proxies by address and by network, and nothing else', () => {
    expect(load(`${RIGHT}http: { trusted_proxies: [192.0.2.1, 10.0.0.0/8, "2001:db8::/32"] }\n`).http.trusted_proxies).toHaveLength(3);
    expect(faultsOf(`${RIGHT}http: { trusted_proxies: [proxy.example.org] }\n`)).toMatchObject([{ key: 'http.trusted_proxies.0', detail: expect.stringContaining('an address, or a network') as unknown }]);
    expect(faultsOf(`${RIGHT}http: { trusted_proxies: [10.0.0.0/33] }\n`)).toHaveLength(1);
  });
});
