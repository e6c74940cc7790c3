import { describe, expect, it } from '@jest/globals';
import fc from '../support/fast-check.ts';
import type { Lease } from '../../src/dashboard/answers.ts';
import { completeEvent, leaseChanges, type FeedEvent } from '../../src/dashboard/feed-event.ts';
import { byUrgency, placeOf, rowOf, urgencyOf, type Row } from '../../src/dashboard/lease-order.ts';
import { hashOf, parseHash, VIEWS } from '../../src/dashboard/place.ts';
import { barsOf, LATE_MINUTE } from '../../src/dashboard/timeline-bars.ts';

const anyRow = fc.record({ id: fc.string(), at: fc.integer({ min: 1, max: 50 }), stuck: fc.boolean() }).map(({ id, at, stuck }) =>
  rowOf({ id, expires_at: new Date(at * 1000).toISOString(), revocation_due_at: null, state: stuck ? 'stuck' : 'active' } as Lease),
);

describe('the order of leases', () => {
  it('finds each row where it stands, however many share a due time', () => {
    fc.assert(
      fc.property(fc.uniqueArray(anyRow, { selector: ({ lease }) => lease.id }), (rows: Row[]) => {
        const sorted = rows.toSorted(byUrgency);
        sorted.forEach((row, index) => expect(placeOf(sorted, row)).toBe(index));
      }),
    );
  });

  it('puts what is stuck before what is overdue, and that before what is due', () => {
    const row = (id: string, at: string, state: Lease['state']): Row => rowOf({ id, expires_at: at, revocation_due_at: null, state } as Lease);
    const rows = [row('due', '2026-01-01T01:00:00Z', 'active'), row('overdue', '2026-01-01T00:00:00Z', 'active'), row('stuck', '2026-01-01T02:00:00Z', 'stuck')];
    expect(rows.toSorted(byUrgency).map(({ lease }) => lease.id)).toEqual(['stuck', 'overdue', 'due']);
  });

  it.each([[-2_001, 'overdue'], [-2_000, 'last'], [59_999, 'last'], [60_000, 'soon'], [300_000, 'later']] as const)('calls what has %i ms left %s', (leftMs, urgency) => expect(urgencyOf(leftMs)).toBe(urgency));
});

const event = (type: string, leases: string[], facts: Record<string, unknown>): FeedEvent => ({
  id: 'e', at: '2026-01-01T00:00:00Z', type, task: 'tsk_1', leases, agent: { issuer: 'i', subject: 'agent:a' }, by: { issuer: 'mayfly', subject: 'm' }, trace_id: null, facts,
});
const fact = { lease: 'lse_1', credential: 'orders-db', provider: 'vault-main', kind: 'vault.dynamic', revocability: 'exact', due_at: '2026-01-01T00:05:00Z' };

describe('what an event means for the table', () => {
  it('makes a whole lease of a task that begins', () => {
    expect(leaseChanges(event('task.activated', ['lse_1'], { purpose: 'p', credentials: [fact] }))).toEqual([
      expect.objectContaining({ is: 'changed', id: 'lse_1', whole: expect.objectContaining({ state: 'active', agent: 'agent:a', purpose: 'p', credential: 'orders-db', expires_at: '2026-01-01T00:05:00Z' }) }),
    ]);
  });

  it.each(['lease.revoked', 'lease.lapsed', 'lease.abandoned', 'lease.disclosed'])('takes a lease away at %s', (type) =>
    expect(leaseChanges(event(type, ['lse_1'], fact))).toEqual([{ is: 'ended', id: 'lse_1' }]));

  it('does not make up what it was not told: a renewal is asked about', () => expect(leaseChanges(event('task.extended', ['lse_1'], {}))).toEqual([{ is: 'unclear', id: 'lse_1' }]));

  it('says of an end that is under way when it was asked for', () =>
    expect(leaseChanges(event('task.ending', ['lse_1', 'lse_2'], { reason: 'completed' }))).toMatchObject([{ id: 'lse_1', fields: { state: 'revoking', revocation_due_at: '2026-01-01T00:00:00Z' } }, { id: 'lse_2' }]));

  it('takes no lease that the event is not about', () => expect(leaseChanges(event('task.activated', ['lse_2'], { credentials: [fact] }))).toEqual([]));
});

describe('the address', () => {
  it('names any place so that it is found again', () => {
    fc.assert(
      fc.property(fc.constantFrom(...VIEWS), fc.string({ minLength: 1 }), fc.dictionary(fc.stringMatching(/^[a-z_]{1,8}$/), fc.string({ minLength: 1 })), (view, id, query) => {
        fc.pre(view !== 'overview');
        const place = parseHash(hashOf(view, id, query));
        expect([place.view, place.id, Object.fromEntries(place.query)]).toEqual([view, id, { ...query }]);
      }),
    );
  });

  it.each(['', '#', '#/', '#/nowhere', '#/%E0%A4%A'])('is the overview where it is %p', (hash) => expect(parseHash(hash).view).toBe('overview'));
});

describe('the timeline', () => {
  it('piles the providers of a minute on top of each other, with what is late before them', () => {
    const { bars, top } = barsOf([[0, 2], [3, 1]], 4);
    expect(bars).toEqual([
      { minute: LATE_MINUTE, series: null, from: 0, to: 4 },
      { minute: 1, series: 0, from: 0, to: 2 },
      { minute: 0, series: 1, from: 0, to: 3 },
      { minute: 1, series: 1, from: 2, to: 3 },
    ]);
    expect(top).toBe(4);
  });

  it('loses none of what falls due, and fits it under its top', () => {
    fc.assert(
      fc.property(fc.array(fc.array(fc.nat(10_000), { minLength: 60, maxLength: 60 }), { maxLength: 5 }), fc.nat(1_000), (perMinute, late) => {
        const { bars, top } = barsOf(perMinute, late);
        expect(bars.reduce((sum, { from, to }) => sum + to - from, 0)).toBe(late + perMinute.flat().reduce((a, b) => a + b, 0));
        expect(Math.max(0, ...bars.map(({ to }) => to))).toBeLessThanOrEqual(top);
        expect(top % 2).toBe(0);
      }),
    );
  });
});

describe('what the sealer itself has to say', () => {
  it('is an event like any other, with what it says as its facts', () => {
    const notice = completeEvent('3-7', { type: 'audit.gap', shard: '0', from: 4, to: 9 } as { type: string });
    expect(notice).toEqual({ id: '3-7', at: '', type: 'audit.gap', task: null, leases: [], agent: null, by: { issuer: 'mayfly', subject: 'sealer' }, trace_id: null, facts: { shard: '0', from: 4, to: 9 } });
    expect(leaseChanges(notice)).toEqual([]);
  });

  it('changes nothing of an event that is whole', () => {
    const whole: FeedEvent = { id: 'evt_1', at: '2026-01-01T00:00:00Z', type: 'lock.created', task: null, leases: [], agent: null, by: { issuer: 'i', subject: 's' }, trace_id: null, facts: { until: 'x' } };
    expect(completeEvent('3-8', whole)).toEqual(whole);
  });
});
