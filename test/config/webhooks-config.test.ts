import { describe, expect, it } from '@jest/globals';
import { faultsOf, load, RIGHT } from './config-fixture.ts';

const HOOK = '{ name: soc, url: "https://hooks.test/mayfly", secret_files: [s], events: [task.ended, "lease.*"] }';
const withHooks = (...hooks: readonly string[]): string => `${RIGHT}webhooks:\n${hooks.map((hook) => `  - ${hook}\n`).join('')}`;
const but = (from: string, to: string): string => HOOK.replace(from, to);

describe('webhooks in a configuration', () => {
  it('are taken, thin and to no private address unless that is said', () => {
    expect(load(withHooks(HOOK)).webhooks).toMatchObject([{ name: 'soc', format: 'thin', allow_private_addresses: false }]);
    expect(load(RIGHT).webhooks).toEqual([]);
  });

  it.each([
    ['one name twice', [HOOK, HOOK], '1.name', 'is listed twice'],
    ['plain http in production', [but('https:', 'http:')], '0.url', 'must be https in production'],
    ['a password in the address', [but('hooks.test', 'user:pw@hooks.test')], '0.url', 'must not hold a user or a password'],
    ['no secret', [but('[s]', '[]')], '0.secret_files', /at least 1/],
    ['three secrets', [but('[s]', '[s, s, s]')], '0.secret_files', /at most 2/],
    ['a type that is none', [but('task.ended', 'Task')], '0.events.0', /a type such as/],
    ['a format that is none', [but('events', 'format: fat, events')], '0.format', /must be one of/],
  ] as const)('with %s are refused', (_what, hooks, key, detail) => {
    const faults = faultsOf(withHooks(...hooks)).map((fault) => ({ key: fault.key, detail: fault.detail }));
    expect(faults).toContainEqual({ key: `webhooks.${key}`, detail: typeof detail === 'string' ? detail : expect.stringMatching(detail) });
  });
});

describe('transmitters of signals in a configuration', () => {
  const TRANSMITTER = '{ issuer: "https://idp.test", audience: a }';
  const withTransmitters = (...transmitters: readonly string[]): string => `${RIGHT}signals:\n  transmitters:\n${transmitters.map((one) => `    - ${one}\n`).join('')}`;

  it('are taken, by RS256 and for themselves alone unless more is said', () => {
    expect(load(withTransmitters(TRANSMITTER)).signals.transmitters).toEqual([{ issuer: 'https://idp.test', audience: 'a', algorithms: ['RS256'], speaks_for: [] }]);
    expect(load(RIGHT).signals.transmitters).toEqual([]);
  });

  it.each([
    ['one issuer twice', [TRANSMITTER, TRANSMITTER], '1.issuer', 'is listed twice'],
    ['plain http in production', ['{ issuer: "http://idp.test", audience: a }'], '0.issuer', 'must be https in production'],
    ['keys over plain http', ['{ issuer: "https://idp.test", jwks_uri: "http://idp.test/keys", audience: a }'], '0.jwks_uri', 'must be https in production'],
    ['our own issuer', ['{ issuer: "https://mayfly.test", audience: a }'], '0.issuer', "is Mayfly's own issuer"],
    ['a shared key', ['{ issuer: "https://idp.test", audience: a, algorithms: [HS256] }'], '0.algorithms.0', /must be one of/],
  ] as const)('with %s are refused', (_what, transmitters, key, detail) => {
    const faults = faultsOf(withTransmitters(...transmitters)).map((fault) => ({ key: fault.key, detail: fault.detail }));
    expect(faults).toContainEqual({ key: `signals.transmitters.${key}`, detail: typeof detail === 'string' ? detail : expect.stringMatching(detail) });
  });
});
