import { z } from 'zod';

/**
 * What OCSF requires of the classes that we export, copied by hand from github.com/ocsf/ocsf-schema (events/ and objects/): required
 * attributes, activities, and the constraints `at_least_one`. Nothing of `src` is in it.
 */
const text = z.string().min(1);
const atLeastOne = (...names: readonly string[]) => (value: Readonly<Record<string, unknown>>): boolean => names.some((name) => value[name] !== undefined);
const user = z.strictObject({ uid: text, name: text, domain: text, type_id: z.union([z.literal([0, 1, 2, 3]), z.literal(99)]), type: text });
const policy = z.strictObject({ uid: text, name: text, version: text.optional() });
const actor = z.strictObject({ user, app_name: text, authorizations: z.array(z.strictObject({ decision: text, policy: policy.optional() })).optional() });

const base = {
  category_name: text,
  class_name: text,
  activity_name: text,
  time: z.int().min(1_500_000_000_000),
  severity_id: z.int().min(1).max(5),
  severity: text,
  status_id: z.literal([1, 2]),
  status: z.literal(['Success', 'Failure']),
  status_detail: text.optional(),
  message: text,
  metadata: z.strictObject({
    version: z.string().regex(/^1\.\d+\.\d+$/),
    product: z.strictObject({ name: text, vendor_name: text, version: text, uid: text }),
    uid: text,
    sequence: z.int(),
    event_code: text,
    log_name: text,
    log_provider: text,
    original_time: text,
    logged_time: z.int(),
    correlation_uid: text.optional(),
  }),
  unmapped: z.looseObject({ seq: z.int(), hash: text }),
};

const classOf = <Shape extends z.ZodRawShape>(category: number, uid: number, activities: readonly number[], shape: Shape) =>
  z
    .strictObject({ ...base, category_uid: z.literal(category), class_uid: z.literal(uid), activity_id: z.int().refine((id) => activities.includes(id), 'an activity of the class'), type_uid: z.int(), ...shape })
    .refine((event) => (event as { type_uid: number }).type_uid === uid * 100 + (event as { activity_id: number }).activity_id, 'type_uid is class_uid * 100 + activity_id');

/** One of the classes, by its rules. */
export const ocsfEvent = z.union([
  classOf(0, 0, [0, 99], {}),
  classOf(3, 3002, [1, 2, 3, 4, 5], { user, service: z.strictObject({ name: text }), session: z.strictObject({ uid: text }).optional() }).refine(atLeastOne('service', 'dst_endpoint')),
  classOf(3, 3003, [1, 2], { actor, user, privileges: z.array(text).min(1), session: z.strictObject({ uid: text }).optional() }).refine(atLeastOne('privileges', 'group')),
  classOf(3, 3004, [1, 2, 3, 4], { actor, entity: z.strictObject({ uid: text, type: text, name: text.optional() }).refine(atLeastOne('name', 'uid')), comment: text.optional() }),
  classOf(6, 6003, [1, 2, 3, 4], {
    actor,
    api: z.strictObject({ operation: text, service: z.strictObject({ name: text }), request: z.strictObject({ uid: text }).optional() }),
    src_endpoint: z.strictObject({ name: text }).refine(atLeastOne('ip', 'uid', 'name', 'hostname')),
    resources: z.array(z.strictObject({ name: text, type: text })).optional(),
  }),
]);
