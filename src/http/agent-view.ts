import { z } from 'zod';
import { isOverdue, type RegisteredAgent } from '../agents/agent-register.ts';
import { rfc3339OrNull, toRfc3339, type EpochMs } from '../core/time.ts';
import { agentIdSchema, instant, instantOrNull, pageOf, type Answer } from './answer-schemas.ts';
import { revocationSchema } from './revocation-view.ts';

/** What `agentView` answers. */
export const agentSchema = z
  .strictObject({
    id: agentIdSchema,
    issuer: z.string(),
    subject: z.string(),
    source: z.enum(['configuration', 'api']).describe('`configuration`: it is changed there'),
    owner: z.string(),
    purposes: z.array(z.string()),
    environments: z.array(z.string()),
    review_by: z.iso.date(),
    review_overdue: z.boolean(),
    description: z.string().nullable(),
    state: z.enum(['enabled', 'disabled']),
    disabled: z.strictObject({ reason: z.string(), by: z.string(), at: instant }).nullable(),
    registered_by: z.string().nullable().describe('null for an agent of the configuration'),
    created_at: instantOrNull,
    changed_at: instantOrNull,
    live_leases: z.int(),
    live_tasks: z.int().describe('of its subject, whichever issuer vouched for it'),
  })
  .meta({ id: 'Agent', description: 'an agent that somebody answers for' });

export const agentAnswer = z.strictObject({ agent: agentSchema }).meta({ id: 'AgentAnswer' });
export const disabledAgentAnswer = z.strictObject({ agent: agentSchema, revocation: revocationSchema.describe('all that lives of its tasks is being ended') }).meta({ id: 'DisabledAgent' });
export const agentList = pageOf(agentSchema).meta({ id: 'AgentList' });

/** An agent as operators see it. */
export const agentView = (
  { id, agent, source, registration, disabled, registeredBy, createdAtMs, changedAtMs }: RegisteredAgent,
  live: { readonly leases: number; readonly tasks: number },
  nowMs: EpochMs,
): Answer<typeof agentSchema> => ({
  id,
  issuer: agent.issuer,
  subject: agent.subject,
  source,
  owner: registration.owner,
  purposes: registration.purposes,
  environments: registration.environments,
  review_by: registration.reviewBy,
  review_overdue: isOverdue(registration.reviewBy, nowMs),
  description: registration.description,
  state: disabled === null ? 'enabled' : 'disabled',
  disabled: disabled === null ? null : { reason: disabled.reason, by: disabled.by.subject, at: toRfc3339(disabled.atMs) },
  registered_by: registeredBy?.subject ?? null,
  created_at: rfc3339OrNull(createdAtMs),
  changed_at: rfc3339OrNull(changedAtMs),
  live_leases: live.leases,
  live_tasks: live.tasks,
});
