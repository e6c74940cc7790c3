import type { AuditEvent } from '../audit-event.ts';
import { listOf, recordOf, textOf, wordsOf, type Facts } from '../event-facts.ts';
import type { StatedRecord } from '../read-range.ts';
import { OCSF_KINDS, type OcsfKind } from './ocsf-classes.ts';

/** The first version of OCSF that has an actor in all of our classes: what is used of it is the same in every later 1.x. */
export const OCSF_VERSION = '1.4.0';

const CLASS_NAMES = { 0: 'Base Event', 3002: 'Authentication', 3003: 'Authorize Session', 3004: 'Entity Management', 6003: 'API Activity' } as const;
const CATEGORY_NAMES = { 0: 'Uncategorized', 3: 'Identity & Access Management', 6: 'Application Activity' } as const;
const SEVERITIES = ['Unknown', 'Informational', 'Low', 'Medium', 'High', 'Critical'] as const;
/** Whom OCSF calls a user is a workload, an operator or a part of the broker: its own words for types fit none of them. */
const OTHER = { type_id: 99, type: 'Other' } as const;

type OcsfEvent = Readonly<Record<string, unknown>>;

/**
 * A record as an event of OCSF 1.x: a grant is Authorize Session, a request and what was decided of it API Activity, a
 * person's session Authentication, the life of tasks,
 * leases and the like Entity Management, the rest Base Event. All that OCSF has no word for is in `unmapped`: the whole record.
 */
export function ocsfEventOf(record: StatedRecord, { deploymentId, version }: { readonly deploymentId: string; readonly version: string }): OcsfEvent {
  const { event, seq, sealed_at: sealedAt } = record;
  const kind = OCSF_KINDS[event.type];
  const category = Math.floor(kind.class / 1_000) as keyof typeof CATEGORY_NAMES;
  const full = 'id' in event ? event : undefined;
  const at = full?.at ?? sealedAt;
  return {
    category_uid: category,
    category_name: CATEGORY_NAMES[category],
    class_uid: kind.class,
    class_name: CLASS_NAMES[kind.class],
    activity_id: kind.activity,
    activity_name: ACTIVITY_NAMES[kind.class][kind.activity] ?? event.type,
    type_uid: kind.class * 100 + kind.activity,
    time: Date.parse(at),
    severity_id: kind.severity,
    severity: SEVERITIES[kind.severity],
    ...statusOf(kind, event.type, full?.facts ?? {}),
    message: messageOf(record),
    metadata: {
      version: OCSF_VERSION,
      product: { name: 'Mayfly', vendor_name: 'Mayfly', version, uid: deploymentId },
      uid: full?.id ?? `${record.epoch}-${seq}`,
      sequence: seq,
      event_code: event.type,
      log_name: `${deploymentId}/mayfly-audit`,
      log_provider: 'mayfly',
      original_time: at,
      logged_time: Date.parse(sealedAt),
      ...correlationOf(full),
    },
    ...(full === undefined ? {} : bodyOf(kind, full)),
    unmapped: record,
  };
}

const ACTIVITY_NAMES: Readonly<Record<OcsfKind['class'], readonly string[]>> = {
  0: [],
  3002: ['', 'Logon', 'Logoff'],
  3003: ['', 'Assign Privileges'],
  3004: ['', 'Create', 'Read', 'Update', 'Delete'],
  6003: ['', 'Create', 'Read', 'Update', 'Delete'],
};

function statusOf(kind: OcsfKind, type: string, facts: Facts): OcsfEvent {
  const failed = ('refused' in kind && kind.refused) || /_failed$|_refused$|\.stuck$/.test(type);
  const reasons = wordsOf(recordOf(facts, 'decision'), 'reasons');
  const why = reasons[0] ?? textOf(facts, 'reason') ?? textOf(facts, 'refused') ?? textOf(facts, 'failure');
  return { status_id: failed ? 2 : 1, status: failed ? 'Failure' : 'Success', ...(failed && why !== null ? { status_detail: why } : {}) };
}

const messageOf = ({ event }: StatedRecord): string => ('id' in event ? [event.type, event.task, event.agent?.subject].filter((word) => word !== null && word !== undefined).join(' ') : event.type);

/** By what records of one request, else of one task, are found together. */
function correlationOf(event: AuditEvent | undefined): OcsfEvent {
  const correlation = event === undefined ? null : (textOf(event.facts, 'trace_id') ?? event.task);
  return correlation === null ? {} : { correlation_uid: correlation };
}

function bodyOf(kind: OcsfKind, event: AuditEvent): OcsfEvent {
  const { facts, agent, by, task, leases } = event;
  const actor = { user: userOf(by), app_name: 'mayfly', ...authorizationsOf(facts) };
  const credentials = listOf(facts, 'credentials').flatMap((one) => textOf(one, 'credential') ?? textOf(one, 'name') ?? []);
  switch (kind.class) {
    case 3002: {
      const session = textOf(facts, 'session');
      return { user: userOf(by), service: { name: 'mayfly' }, ...(session === null ? {} : { session: { uid: session } }) };
    }
    case 3003:
      return { actor, user: userOf(agent ?? by), privileges: credentials.length > 0 ? credentials : [textOf(facts, 'credential') ?? 'none'], ...(task === null ? {} : { session: { uid: task } }) };
    case 6003:
      return {
        actor,
        api: { operation: event.type, service: { name: 'mayfly' }, ...(task === null ? {} : { request: { uid: task } }) },
        // The record has no address: who called is known by its identity.
        src_endpoint: { name: by.subject },
        ...(credentials.length === 0 ? {} : { resources: credentials.map((name) => ({ name, type: 'credential' })) }),
      };
    case 3004: {
      const uid = textOf(facts, kind.entity) ?? (kind.entity === 'task' ? task : kind.entity === 'agent' ? (agent?.subject ?? null) : (leases[0] ?? null)) ?? event.id;
      const name = textOf(facts, 'credential');
      const comment = textOf(facts, 'reason') ?? textOf(facts, 'note');
      return { actor, entity: { uid, type: kind.entity, ...(name === null ? {} : { name }) }, ...(comment === null ? {} : { comment }) };
    }
    case 0:
      return {};
    default:
      return kind satisfies never;
  }
}

const userOf = ({ issuer, subject }: AuditEvent['by']): OcsfEvent => ({ uid: subject, name: subject, domain: issuer, ...OTHER });

function authorizationsOf(facts: Facts): OcsfEvent {
  const decision = recordOf(facts, 'decision');
  const result = textOf(decision, 'result');
  if (result === null) return {};
  const version = textOf(decision, 'policy_version');
  const policies = wordsOf(decision, 'policies');
  const of = (policy: OcsfEvent): OcsfEvent => ({ decision: result, ...policy });
  return { authorizations: policies.length === 0 ? [of({})] : policies.map((uid) => of({ policy: { uid, name: uid, ...(version === null ? {} : { version }) } })) };
}
