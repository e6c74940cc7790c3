import { describe, expect, it } from '@jest/globals';
import fc from '../support/fast-check.ts';
import { addMs, epochMsFrom } from '../../src/core/time.ts';
import { isFinal, LEASE_STATES, type Lease } from '../../src/ledger/lease.ts';
import { allows, IllegalTransition, intendedLease, transition, wakeAt, type LeaseChange } from '../../src/ledger/lease-transitions.ts';
import { AGENT, draftIntent } from '../support/ledger-fixture.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { newTaskId } from '../../src/core/ids.ts';

const NOW = epochMsFrom(2_000_000_000_000);
const minted = { handle: { accessor: 'a' }, targetExpiresAtMs: NOW, lapsesAtMs: NOW };
const CHANGES: readonly LeaseChange[] = [
  { type: 'activated', atMs: NOW, ...minted },
  { type: 'abandoned', atMs: NOW },
  { type: 'end_requested', atMs: NOW, reason: 'completed' },
  { type: 'end_requested', atMs: NOW, reason: 'mint_failed', minted },
  { type: 'revoked', atMs: NOW },
  { type: 'lapsed', atMs: NOW },
  { type: 'disclosed', atMs: NOW },
  { type: 'left_to_lapse', lapsesAtMs: NOW },
  { type: 'attempt_failed', nextTryAtMs: addMs(NOW, 500), failure: 'no answer', stuck: false },
  { type: 'attempt_failed', nextTryAtMs: addMs(NOW, 500), failure: 'no answer', stuck: true },
  { type: 'retry_requested', atMs: NOW },
];
const fresh = (): Lease => intendedLease(draftIntent(newTaskId(), AGENT, 'orders-db', new ManualClock(), 60));

/** Any lease that can exist: whatever allowed changes led to it. */
const reachable = fc.array(fc.constantFrom(...CHANGES), { maxLength: 12 }).map((changes) =>
  changes.reduce((lease, change) => (allows(lease.state, change.type) ? transition(lease, change) : lease), fresh()),
);

describe('lease transitions', () => {
  it('never leave a final state', () => {
    fc.assert(
      fc.property(reachable, fc.constantFrom(...CHANGES), (lease, change) => {
        fc.pre(isFinal(lease.state));
        expect(() => transition(lease, change)).toThrow(IllegalTransition);
      }),
    );
  });

  it('never revive: nothing that was once to be ended becomes active again', () => {
    fc.assert(
      fc.property(reachable, fc.constantFrom(...CHANGES), (lease, change) => {
        fc.pre(lease.revocationReason !== null && allows(lease.state, change.type));
        expect(transition(lease, change).state).not.toBe('active');
      }),
    );
  });

  it('never take a lease for lapsed earlier than a renewal that was not answered may have made it live', () => {
    const active = transition(fresh(), { type: 'activated', atMs: NOW, ...minted });
    const unanswered = transition(active, { type: 'renewal_intended', lapsesAtMs: addMs(NOW, 3_600_000) });
    const second = transition(unanswered, { type: 'renewal_intended', lapsesAtMs: addMs(NOW, 600_000) });
    const answered = transition(second, { type: 'renewed', dueAtMs: addMs(NOW, 500_000), targetExpiresAtMs: addMs(NOW, 505_000), lapsesAtMs: addMs(NOW, 510_000) });
    expect(answered.lapsesAtMs).toBe(addMs(NOW, 3_600_000));
  });

  it('never call a failed revocation revoked', () => {
    fc.assert(
      fc.property(reachable, (lease) => {
        fc.pre(allows(lease.state, 'attempt_failed'));
        const after = transition(lease, { type: 'attempt_failed', nextTryAtMs: NOW, failure: 'x', stuck: false });
        expect(isFinal(after.state)).toBe(false);
        expect(after.attempts).toBe(lease.attempts + 1);
      }),
    );
  });

  it('go up by one generation each, and leave the intent as it was', () => {
    fc.assert(
      fc.property(reachable, fc.constantFrom(...CHANGES), (lease, change) => {
        fc.pre(allows(lease.state, change.type));
        const { id, dueAtMs, agent, credential, provider, generation } = transition(lease, change);
        expect({ id, dueAtMs, agent, credential, provider }).toEqual({
          id: lease.id, dueAtMs: lease.dueAtMs, agent: lease.agent, credential: lease.credential, provider: lease.provider,
        });
        expect(generation).toBe(lease.generation + 1);
      }),
    );
  });

  it('leave every lease that is not final on the schedule, and no final one', () => {
    fc.assert(fc.property(reachable, (lease) => expect(wakeAt(lease, 15_000) === null).toBe(isFinal(lease.state))));
  });

  it('are allowed from exactly these states', () => {
    const table = Object.fromEntries(CHANGES.map(({ type }) => [type, LEASE_STATES.filter((state) => allows(state, type))]));
    expect(table).toEqual({
      activated: ['intended'],
      abandoned: ['intended'],
      end_requested: ['intended', 'active'],
      revoked: ['revoking', 'stuck'],
      lapsed: ['active', 'revoking', 'stuck'],
      disclosed: ['revoking', 'stuck'],
      left_to_lapse: ['revoking', 'stuck'],
      attempt_failed: ['revoking', 'stuck'],
      retry_requested: ['stuck'],
    });
  });
});
