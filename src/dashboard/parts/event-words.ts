// What an event is called on the page. Pure.
import type { FeedEvent } from '../feed-event.ts';
import { textOf } from '../feed-event.ts';
import { short } from '../words.ts';

const WHAT: Readonly<Record<string, string>> = {
  'task.declared': 'task declared', 'task.denied': 'task denied', 'task.activated': 'task began', 'task.extended': 'task extended', 'task.ending': 'task ending', 'task.ended': 'task ended',
  'task.approved': 'approved', 'task.approval_denied': 'approval denied', 'task.approval_refused': 'may not decide about it', 'task.claimed': 'task claimed', 'task.claim_refused': 'claim refused',
  'extension.denied': 'extension denied', 'delegation.refused': 'delegation refused', 'evidence.refused': 'evidence refused', 'credential.denied': 'credential denied',
  'lease.intended': 'lease intended', 'lease.activated': 'lease active', 'lease.abandoned': 'mint failed', 'lease.renewing': 'lease renewing', 'lease.renewed': 'lease renewed',
  'lease.revoking': 'revoking', 'lease.revoked': 'revoked', 'lease.lapsing': 'left to lapse', 'lease.lapsed': 'lapsed', 'lease.disclosed': 'secret opened',
  'lease.revocation_failed': 'revocation failed', 'lease.stuck': 'stuck', 'lease.acknowledged': 'acknowledged', 'tool_call.reported': 'tool call reported',
  'revocation.requested': 'revocation requested', 'revocation.selected': 'revocation under way', 'revocation.completed': 'revocation done', 'revocation.cancelled': 'revocation cancelled',
  'lock.created': 'locked', 'lock.lifted': 'lock lifted', 'lock.expired': 'lock expired', 'grant.locked': 'refused by a lock',
  'agent.registered': 'agent registered', 'agent.changed': 'agent changed', 'agent.disabled': 'agent disabled', 'agent.enabled': 'agent enabled',
  'hold.opened': 'hold: nothing is granted', 'hold.released': 'hold released', 'hold.expired': 'hold over', 'record.tampered': 'a record was tampered with',
  resync: 'looked afresh: events were missed',
};

export const eventName = (type: string, facts: FeedEvent['facts'] = {}): string => (type === 'task.declared' && facts['state'] === 'pending_approval' ? 'waits for approval' : (WHAT[type] ?? type));

export const isAlarming = (type: string): boolean => /denied$|refused$|failed$|^lease\.stuck$|^grant\.locked$|^lease\.disclosed$|tampered$|^hold\.opened$/.test(type);

/** What it is about, in a few words of others. */
export function eventAbout({ facts, agent, leases }: Pick<FeedEvent, 'facts' | 'agent' | 'leases'>): string {
  const listed = Array.isArray(facts['credentials']) ? (facts['credentials'] as readonly Record<string, unknown>[]) : [];
  const credential = textOf(facts, 'credential') ?? listed.map((one) => textOf(one, 'credential') ?? textOf(one, 'name') ?? '').join(', ');
  const [lease] = leases;
  return [credential, agent?.subject ?? '', textOf(facts, 'reason') ?? '', leases.length === 1 && lease !== undefined ? short(lease) : '', textOf(facts, 'failure') ?? ''].filter((part) => part !== '').join(' · ');
}
