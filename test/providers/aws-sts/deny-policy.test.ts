import { describe, expect, it } from '@jest/globals';
import { newLeaseIdIn, type LeaseId, type Shard } from '../../../src/core/ids.ts';
import { MAX_INLINE_POLICIES, NO_DENIES, holds, parseDenyPolicy, renderDenyPolicy, widen, withDenies, type Deny } from '../../../src/providers/aws-sts/deny-policy.ts';

const NOW = Date.parse('2026-11-24T04:00:00Z');
const MINUTE = 60_000;
const deny = (untilMs: number, leaseId: LeaseId = newLeaseIdIn('a' as Shard)): Deny => ({ leaseId, untilMs });
const parsed = (document: string | null) => (document === null ? NO_DENIES : parseDenyPolicy(document));

describe('the denies of a role', () => {
  it('name one session each, until that session has ended', () => {
    const [first, second] = [deny(NOW + 15 * MINUTE, 'lse_0123456789abcdef0123456789abcdef' as LeaseId), deny(NOW + 59 * MINUTE)];
    const policy = withDenies(NO_DENIES, [first, second], NOW);
    expect(JSON.parse(renderDenyPolicy(policy) ?? '')).toMatchObject({
      Statement: [
        { Sid: 'MayflyUntil20261124T041500Z', Effect: 'Deny', Action: '*', Resource: '*', Condition: { StringLike: { 'aws:userid': ['*:lse_0123456789abcdef*'] } } },
        { Sid: 'MayflyUntil20261124T050000Z' },
      ],
    });
    const later = withDenies(policy, [], NOW + 16 * MINUTE);
    expect([holds(later, first), holds(later, second)]).toEqual([false, true]);
    expect(renderDenyPolicy(withDenies(later, [], NOW + 61 * MINUTE))).toBeNull();
  });

  it('are read back as they were written, one statement or many', () => {
    const policy = withDenies(NO_DENIES, Array.from({ length: 40 }, (_, i) => deny(NOW + (i + 1) * 5 * MINUTE)), NOW);
    expect(parsed(renderDenyPolicy(policy))).toEqual(policy);
    const single = { Version: '2012-10-17', Statement: { Sid: 'MayflyUntil20261124T041500Z', Effect: 'Deny', Action: '*', Resource: '*', Condition: { StringLike: { 'aws:userid': '*:lse_0*' } } } };
    expect(parsed(JSON.stringify(single)).denies.size).toBe(1);
  });

  it('leave statements of others as they are', () => {
    const foreign = [{ Sid: 'Theirs', Effect: 'Deny', Action: 's3:DeleteBucket', Resource: '*' }, { Effect: 'Allow', Action: 's3:*', Resource: '*' }];
    const policy = withDenies(parseDenyPolicy(JSON.stringify({ Version: '2012-10-17', Statement: foreign })), [deny(NOW + MINUTE)], NOW);
    expect((JSON.parse(renderDenyPolicy(policy) ?? '') as { Statement: unknown[] }).Statement.slice(0, 2)).toEqual(foreign);
    expect(parsed(renderDenyPolicy(withDenies(policy, [], NOW + 10 * MINUTE))).foreign).toEqual(foreign);
  });

  it('of more than three hundred sessions fit into one role', () => {
    const policy = withDenies(NO_DENIES, Array.from({ length: 350 }, () => deny(NOW + 15 * MINUTE)), NOW);
    expect(renderDenyPolicy(policy)?.length).toBeLessThan(MAX_INLINE_POLICIES);
  });

  it('are replaced by one deny of all that was issued, when told so, as long as any of them was needed', () => {
    const [old, fresh] = [deny(NOW + 50 * MINUTE), deny(NOW + 15 * MINUTE)];
    const policy = widen(withDenies(NO_DENIES, [old], NOW), [fresh], NOW + 500);
    expect(JSON.parse(renderDenyPolicy(policy) ?? '')).toMatchObject({
      Statement: [{ Sid: 'MayflyIssuedBefore20261124T040001ZUntil20261124T045000Z', Condition: { DateLessThan: { 'aws:TokenIssueTime': '2026-11-24T04:00:01Z' } } }, {}],
    });
    expect([holds(policy, old), holds(policy, fresh)]).toEqual([false, true]);
    expect(parsed(renderDenyPolicy(policy))).toEqual(policy);
    expect(renderDenyPolicy(withDenies(policy, [], NOW + 51 * MINUTE))).toBeNull();
  });

  it.each(['', '{}', 'null', '[]', '{"Statement":'])('cannot be read from %j, which is told rather than overwritten', (document) => {
    expect(() => parseDenyPolicy(document)).toThrow();
  });
});
