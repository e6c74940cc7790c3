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
  'webhook.disabled': 'webhook disabled: it is gone', 'webhook.enabled': 'webhook enabled', 'webhook.tested': 'webhook tested', 'notice.disabled': 'notices disabled', 'signal.received': 'signal received', 'signal.ignored': 'signal ignored',
  'reconciliation.requested': 'comparison requested', 'orphan.found': 'in no record', 'orphan.revoked': 'in no record, revoked', 'orphan.disclosed': 'in no record, disclosed', 'orphan.waiting': 'in no record, waits for the end of the hold',
  'lease.missing': 'missing at its target', 'lease.undone': 'let in again at its target', 'session.opened': 'signed in', 'session.refused': 'sign-in refused', 'session.ended': 'signed out', 'sessions.ended': 'sign-ins ended',
  'policy.reloaded': 'policies reloaded', 'policy.reload_refused': 'new policies refused', 'policy.shadow_reloaded': 'shadow policies reloaded', 'policy.shadow_refused': 'shadow policies refused', 'broker.started': 'broker started', 'broker.stopped': 'broker stopped',
  'sealer.started': 'audit log goes on', 'audit.gap': 'records are missing from the audit log', 'audit.forged': 'a forged record was found', 'audit.reset': 'the audit log begins again: the ledger was wiped or restored',
  resync: 'looked afresh: events were missed',
};

export const eventName = (type: string, facts: FeedEvent['facts'] = {}): string => (type === 'task.declared' && facts['state'] === 'pending_approval' ? 'waits for approval' : (WHAT[type] ?? type));

export const isAlarming = (type: string): boolean => /denied$|refused$|failed$|^lease\.stuck$|^grant\.locked$|^lease\.disclosed$|tampered$|^hold\.opened$|^orphan\.found$|^webhook\.disabled$|^audit\./.test(type);

/** What it is about, in a few words of others. */
export function eventAbout({ facts, agent, leases }: Pick<FeedEvent, 'facts' | 'agent' | 'leases'>): string {
  const listed = Array.isArray(facts['credentials']) ? (facts['credentials'] as readonly Record<string, unknown>[]) : [];
  const credential = textOf(facts, 'credential') ?? listed.map((one) => textOf(one, 'credential') ?? textOf(one, 'name') ?? '').join(', ');
  const [lease] = leases;
  return [credential, textOf(facts, 'webhook') ?? '', agent?.subject ?? '', textOf(facts, 'reason') ?? '', leases.length === 1 && lease !== undefined ? short(lease) : '', textOf(facts, 'failure') ?? ''].filter((part) => part !== '').join(' · ');
}
