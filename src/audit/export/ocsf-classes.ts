import type { AuditEventType } from '../audit-event.ts';
import type { SealerNotice } from '../hash-chain.ts';

/** Activities of OCSF that we use, by class. */
export type OcsfClass =
  /** Authentication: a person signed in (1), or no longer is (2). */
  | { readonly class: 3002; readonly activity: 1 | 2; readonly refused: boolean }
  /** Authorize Session: an agent was given something. */
  | { readonly class: 3003; readonly activity: 1 }
  /** API Activity: somebody asked, and was or was not allowed to. 1 create, 3 update. */
  | { readonly class: 6003; readonly activity: 1 | 3; readonly refused: boolean }
  /** Entity Management: something came to be (1), changed (3) or is no more (4). */
  | { readonly class: 3004; readonly activity: 1 | 3 | 4; readonly entity: string }
  /** Base Event: what no class is about. */
  | { readonly class: 0; readonly activity: 99 };

/** Of OCSF: 1 informational, 2 low, 3 medium, 4 high, 5 critical. */
type Severity = 1 | 2 | 3 | 4 | 5;
export type OcsfKind = OcsfClass & { readonly severity: Severity };

const granted = { class: 3003, activity: 1, severity: 1 } as const;
const asked = (activity: 1 | 3): OcsfKind => ({ class: 6003, activity, refused: false, severity: 1 });
const refused = (activity: 1 | 3, severity: Severity = 2): OcsfKind => ({ class: 6003, activity, refused: true, severity });
const entity = (name: string, activity: 1 | 3 | 4, severity: Severity = 1): OcsfKind => ({ class: 3004, activity, entity: name, severity });
const other = (severity: Severity): OcsfKind => ({ class: 0, activity: 99, severity });

/** What each event is to OCSF. Every type is here, so that none is exported as something it is not. */
export const OCSF_KINDS: Readonly<Record<AuditEventType | SealerNotice['type'], OcsfKind>> = {
  'task.declared': asked(1),
  'task.denied': refused(1),
  'evidence.refused': refused(1, 3),
  'session.opened': { class: 3002, activity: 1, refused: false, severity: 1 },
  'session.refused': { class: 3002, activity: 1, refused: true, severity: 3 },
  'session.ended': { class: 3002, activity: 2, refused: false, severity: 1 },
  'sessions.ended': { class: 3002, activity: 2, refused: false, severity: 1 },
  'signal.received': entity('signal', 1, 3),
  'signal.ignored': entity('signal', 1, 2),
  'webhook.enabled': entity('webhook', 3),
  'webhook.disabled': entity('webhook', 3, 2),
  'webhook.tested': entity('webhook', 3),
  'notice.disabled': entity('notice', 3, 2),
  'task.approved': entity('task', 3),
  'task.approval_denied': refused(3),
  'task.approval_refused': refused(3, 3),
  'task.claimed': asked(3),
  'task.claim_refused': refused(3, 3),
  'delegation.refused': refused(1, 3),
  'task.activated': granted,
  'task.extended': asked(3),
  'extension.denied': refused(3),
  'task.ending': entity('task', 3),
  'task.ended': entity('task', 4),
  'credential.denied': refused(1),
  'lease.intended': asked(1),
  'lease.activated': granted,
  'lease.renewing': entity('lease', 3),
  'lease.renewed': entity('lease', 3),
  'lease.abandoned': entity('lease', 4),
  'lease.revoking': entity('lease', 3),
  'lease.revoked': entity('lease', 4),
  'lease.lapsed': entity('lease', 4),
  'lease.disclosed': entity('lease', 4, 4),
  'lease.acknowledged': entity('lease', 3),
  'lease.lapsing': entity('lease', 3),
  'lease.revocation_failed': entity('lease', 3, 3),
  'lease.stuck': entity('lease', 3, 4),
  'tool_call.reported': asked(3),
  'orphan.found': entity('lease', 3, 3),
  'orphan.revoked': entity('lease', 4, 3),
  'orphan.disclosed': entity('lease', 4, 4),
  'orphan.waiting': entity('lease', 3, 3),
  'lease.missing': entity('lease', 3, 4),
  'lease.undone': entity('lease', 3, 3),
  'reconciliation.requested': entity('reconciliation', 1),
  'revocation.requested': entity('revocation', 1, 2),
  'revocation.selected': entity('revocation', 3),
  'revocation.cancelled': entity('revocation', 4, 2),
  'revocation.completed': entity('revocation', 3),
  'lock.created': entity('lock', 1, 2),
  'lock.lifted': entity('lock', 4, 2),
  'lock.expired': entity('lock', 4),
  'grant.locked': refused(1),
  'agent.registered': entity('agent', 1),
  'agent.changed': entity('agent', 3),
  'agent.disabled': entity('agent', 3, 3),
  'agent.enabled': entity('agent', 3),
  'hold.opened': entity('hold', 1, 4),
  'hold.released': entity('hold', 4, 2),
  'hold.expired': entity('hold', 4),
  'record.tampered': other(5),
  'policy.reloaded': entity('policy', 3),
  'policy.reload_refused': entity('policy', 3, 3),
  'policy.shadow_reloaded': entity('policy', 3),
  'policy.shadow_refused': entity('policy', 3, 2),
  'broker.started': other(1),
  'broker.stopped': other(1),
  'sealer.started': other(1),
  'audit.gap': other(5),
  'audit.forged': other(5),
  'audit.reset': other(4),
};
