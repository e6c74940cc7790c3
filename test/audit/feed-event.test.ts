import { describe, expect, it } from '@jest/globals';
import type { AuditEvent } from '../../src/audit/audit-event.ts';
import { feedEvent } from '../../src/audit/feed-event.ts';
import { newEventId } from '../../src/core/ids.ts';
import { AGENT } from '../support/ledger-fixture.ts';

const event = (type: AuditEvent['type'], facts: Record<string, unknown>): AuditEvent => ({
  id: newEventId(), at: '2026-01-01T00:00:00.000Z', type, task: null, leases: [], agent: AGENT, by: AGENT, facts,
});

describe('an event on the feed', () => {
  it('has none of the free text that callers send, whatever it is called', () => {
    const free = { justification: 'FREE', ticket: 'FREE', note: 'FREE', context: { tool: 'FREE' }, something_new: 'FREE', tool_call: { tool: 'FREE' } };
    const credentials = [{ lease: 'lse_1', credential: 'orders-db', tool_call: { tool: 'FREE' } }];
    const shown = JSON.stringify(feedEvent(event('task.declared', { ...free, credentials, purpose: 'refund-investigation' })));
    expect(shown).not.toContain('FREE');
    expect(shown).toContain('orders-db');
    expect(shown).toContain('refund-investigation');
  });

  it('says why a lease ended, and not what an operator typed', () => {
    expect(feedEvent(event('lease.revoked', { reason: 'completed' }))).toMatchObject({ facts: { reason: 'completed' } });
    expect(feedEvent(event('revocation.requested', { reason: 'seen in a log', selector: { lease: 'lse_1' } }))['facts']).toEqual({ selector: { lease: 'lse_1' } });
    expect(feedEvent(event('lock.created', { reason: 'seen in a log', lock: 'lck_1', selector: { all: true } }))['facts']).toEqual({ lock: 'lck_1', selector: { all: true } });
  });

  it('names who did it and no more of them', () => {
    const operator = { ...AGENT, kind: 'operator', role: 'admin', tokenExpiresAtMs: 1 };
    expect(feedEvent({ ...event('task.ended', {}), by: operator })['by']).toEqual(AGENT);
  });
});
