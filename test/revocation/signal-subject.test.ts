import { describe, expect, it } from '@jest/globals';
import fc from '../support/fast-check.ts';
import { selectorsOf } from '../../src/revocation/signal-subject.ts';

const IDP = 'https://idp.test';
const USERS = 'https://login.test';
const scope = { transmitter: { issuer: IDP, speaks_for: [USERS, 'spiffe://example.org'] }, usersIssuer: USERS };
const AGENT = 'spiffe://example.org/agent/refunds';

describe('whom a signal is about (RFC 9493)', () => {
  it.each([
    ['SS-4: an agent of the transmitter', { format: 'iss_sub', iss: IDP, sub: 'agent:a' }, [{ agent: 'agent:a', agent_issuer: IDP }]],
    ['SS-4: a person', { format: 'iss_sub', iss: USERS, sub: 'ann' }, [{ agent: 'ann', agent_issuer: USERS }, { subject: 'ann' }]],
    ['SS-4: a SPIFFE ID', { format: 'uri', uri: AGENT }, [{ agent: AGENT, agent_issuer: 'spiffe://example.org' }]],
    ['a name of the transmitter', { format: 'opaque', id: 'agent:a' }, [{ agent: 'agent:a', agent_issuer: IDP }]],
    ['an address', { format: 'email', email: 'ann@example.org' }, [{ subject: 'ann@example.org' }]],
    ['several names of one', { format: 'aliases', identifiers: [{ format: 'email', email: 'ann@example.org' }, { format: 'uri', uri: AGENT }] }, [{ subject: 'ann@example.org' }, { agent: AGENT, agent_issuer: 'spiffe://example.org' }]],
    ['a session of a person', { format: 'complex', user: { format: 'iss_sub', iss: USERS, sub: 'ann' }, session: { format: 'opaque', id: 's1' } }, [{ agent: 'ann', agent_issuer: USERS }, { subject: 'ann' }]],
  ])('%s', (_what, subject, selectors) => {
    expect(selectorsOf(subject, scope)).toEqual(selectors);
  });

  it.each([
    ['of an issuer that the transmitter has no say over', { format: 'iss_sub', iss: 'https://other.test', sub: 'ann' }],
    ['of a trust domain that it has no say over', { format: 'uri', uri: 'spiffe://other.org/agent' }],
    ['of a form that nobody knows', { format: 'phone_number', phone_number: '+12065550100' }],
    ['that is no SPIFFE ID', { format: 'uri', uri: 'https://example.org/ann' }],
    ['without a name', { format: 'iss_sub', iss: IDP }],
    ['with half a character, which no token can name', { format: 'iss_sub', iss: IDP, sub: 'agent:\ud800' }],
    ['that is empty', { format: 'iss_sub', iss: IDP, sub: '' }],
    ['within itself, without end', { format: 'aliases', identifiers: [{ format: 'aliases', identifiers: [{ format: 'aliases', identifiers: [{ format: 'aliases', identifiers: [{ format: 'opaque', id: 'a' }] }] }] }] }],
  ])('nobody: one %s', (_what, subject) => {
    expect(selectorsOf(subject, scope)).toEqual([]);
  });

  it('is no person where persons are of an issuer that the transmitter has no say over', () => {
    const narrow = { ...scope, transmitter: { issuer: IDP, speaks_for: [] } };
    expect(selectorsOf({ format: 'email', email: 'ann@example.org' }, narrow)).toEqual([]);
    expect(selectorsOf({ format: 'iss_sub', iss: USERS, sub: 'ann' }, narrow)).toEqual([]);
  });

  it('never selects by less than a name, whatever comes', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.constantFrom('iss_sub', 'uri', 'opaque', 'email', 'aliases', 'complex'), (value, format) => {
        const subject = typeof value === 'object' && value !== null ? Object.assign({}, value, { format }) : value;
        for (const selector of selectorsOf(subject, scope)) expect(selector.agent ?? selector.subject).toMatch(/./su);
      }),
    );
  });
});
