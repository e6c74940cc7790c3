import { describe, expect, it } from '@jest/globals';
import fc from '../support/fast-check.ts';
import type { FeedEntry } from '../../src/audit/event-feed.ts';
import { webhookMessage, wantsType } from '../../src/webhooks/webhook-message.ts';

const EVENT = { id: 'evt_1', at: '2026-01-05T09:00:00.000Z', type: 'task.ended', task: 'tsk_1', leases: ['lse_1'], agent: { issuer: 'i', subject: 's' }, by: { issuer: 'mayfly', subject: 'due-sweep' }, trace_id: null, facts: { purpose: 'p' } };
const entryOf = (event: object, type = 'task.ended', id = '3-7'): FeedEntry => ({ id, after: '3-6', type, json: JSON.stringify(event) });
const cloudEvent = (event: object, type?: string): Record<string, unknown> => JSON.parse(webhookMessage(entryOf(event, type), 'cloudevents', 'prod').body) as Record<string, unknown>;

/** RFC 3339, as the type Timestamp asks for. */
const TIMESTAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/;
/** What the specification says of every event, and of its JSON format; each answers what is wrong. */
const RULES: Readonly<Record<string, (event: Record<string, unknown>) => boolean>> = {
  'CE 3.1: names of attributes are lower-case letters and digits, and at most 20 of them': (event) => Object.keys(event).every((key) => /^[a-z0-9]{1,20}$/.test(key)),
  'CE 3.2: id, source, specversion and type are there, and not empty': (event) => ['id', 'source', 'specversion', 'type'].every((key) => typeof event[key] === 'string' && event[key] !== ''),
  'CE 3.2: specversion is 1.0': ({ specversion }) => specversion === '1.0',
  'CE 3.2: source is a URI reference': ({ source }) => URL.canParse(String(source)),
  'CE 3.3: subject, where there is one, is not empty': (event) => !('subject' in event) || (typeof event['subject'] === 'string' && event['subject'] !== ''),
  'CE 3.3: time, where there is one, is a timestamp': (event) => !('time' in event) || TIMESTAMP.test(String(event['time'])),
  'CE 3.3: datacontenttype is a media type': ({ datacontenttype }) => datacontenttype === 'application/json',
  'CE JSON 2.2: attributes are strings, numbers or booleans, and never null': (event) => Object.entries(event).every(([key, value]) => key === 'data' || ['string', 'number', 'boolean'].includes(typeof value)),
  'CE JSON 3.1: data of a JSON media type is a JSON value, and there is no data_base64': (event) => typeof event['data'] === 'object' && !('data_base64' in event),
};

describe('a CloudEvent', () => {
  it.each(Object.entries(RULES))('%s', (_rule, holds) => {
    for (const event of [EVENT, { ...EVENT, task: null }, { ...EVENT, task: null, leases: [] }, { at: EVENT.at }]) expect(holds(cloudEvent(event))).toBe(true);
  });

  it.each([
    ['Upper: attribute', { ...cloudEvent(EVENT), traceId: 'x' }],
    ['null subject', { ...cloudEvent(EVENT), subject: null }],
    ['no id', { ...cloudEvent(EVENT), id: '' }],
    ['time without a zone', { ...cloudEvent(EVENT), time: '2026-01-05T09:00:00' }],
  ])('with %s breaks a rule (control)', (_what, broken) => {
    expect(Object.values(RULES).every((holds) => holds(broken))).toBe(false);
  });

  it('is about its task, else its lease, and says so as what it is', () => {
    expect(webhookMessage(entryOf(EVENT), 'cloudevents', 'prod')).toMatchObject({ id: 'evt_1', mediaType: 'application/cloudevents+json' });
    expect(cloudEvent(EVENT)).toMatchObject({ id: 'evt_1', source: 'urn:mayfly:prod', type: 'mayfly.task.ended', subject: 'tsk_1', time: EVENT.at, sequence: '3-7', data: { id: 'evt_1', task: 'tsk_1', leases: ['lse_1'] } });
    expect(cloudEvent({ ...EVENT, task: null }, 'orphan.revoked')).toMatchObject({ subject: 'lse_1', type: 'mayfly.orphan.revoked' });
  });
});

describe('a message', () => {
  it('says nothing of the facts, whatever they are, in either format', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.string({ minLength: 12 })), fc.constantFrom('thin' as const, 'cloudevents' as const), (facts, format) => {
        const { body } = webhookMessage(entryOf({ ...EVENT, facts }), format, 'prod');
        for (const value of Object.values(facts)) expect(body).not.toContain(JSON.stringify(value));
      }),
    );
  });

  it('of what is no event of the ledger has an id all the same', () => {
    expect(JSON.parse(webhookMessage(entryOf({ at: EVENT.at }, 'audit.gap'), 'thin', 'prod').body)).toEqual({
      type: 'audit.gap',
      timestamp: EVENT.at,
      data: { id: 'feed_3-7', sequence: '3-7', task: null, leases: [], agent: null, by: null, trace_id: null },
    });
  });
});

describe('the types of a webhook', () => {
  it.each([
    [['*'], 'lease.revoked', true],
    [['lease.*'], 'lease.revoked', true],
    [['lease.revoked'], 'lease.revoked', true],
    [['lease.revoke'], 'lease.revoked', false],
    [['task.*', 'lock.created'], 'lease.revoked', false],
    [['leas.*'], 'lease.revoked', false],
  ])('%j and %s: %s', (wanted, type, wants) => {
    expect(wantsType(wanted, type)).toBe(wants);
  });
});
