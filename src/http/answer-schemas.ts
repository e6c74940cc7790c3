import { z } from 'zod';
import { CREDENTIAL_KINDS } from '../ledger/lease.ts';

/** What a view returns for a schema: exactly its fields, which nobody changes any more. */
export type Answer<S extends z.ZodType> = ReadonlyDeep<z.infer<S>>;

type ReadonlyDeep<T> = T extends readonly (infer Item)[]
  ? readonly ReadonlyDeep<Item>[]
  : T extends object
    ? { readonly [K in keyof T]: ReadonlyDeep<T[K]> }
    : T;

/** RFC 3339 in UTC, as `core/time.ts` writes it. */
export const instant = z.iso.datetime();
export const instantOrNull = instant.nullable();

const idOf = (prefix: string, what: string) =>
  z.string().regex(new RegExp(`^${prefix}_[0-9a-f]{32}$`)).describe(`the id of a ${what}`);

export const taskIdSchema = idOf('tsk', 'task');
export const leaseIdSchema = idOf('lse', 'lease');
export const revocationIdSchema = idOf('rev', 'revocation');
export const lockIdSchema = idOf('lck', 'lock');
export const reconciliationIdSchema = idOf('rec', 'reconciliation');
export const agentIdSchema = idOf('agt', 'registered agent');
export const decisionIdSchema = idOf('dec', 'decision');

/** W3C Trace Context, section 3.2.2.3. */
export const traceIdSchema = z.string().regex(/^(?!0{32})[0-9a-f]{32}$/).describe('a W3C trace id');

export const revocabilitySchema = z
  .enum(['exact', 'eventual', 'none'])
  .describe('`exact`: this credential dies at once; `eventual`: the target needs time; `none`: only its expiry ends it');

export const credentialKindSchema = z.enum(CREDENTIAL_KINDS).describe('provider type and kind');

export const toolCallSchema = z.strictObject({ id: z.string(), tool: z.string() }).describe('the tool call the credential was asked for');

/** What the register says of the agent of a lease or a task, at most five seconds ago. */
export const agentTagFields = {
  owner: z.string().nullable().describe('who answers for the agent; null where nobody registered it'),
  review_overdue: z.boolean().describe("whether somebody had to look at the agent's registration again by now"),
  agent_disabled: z.boolean(),
};

/** A page of a list. */
export const pageOf = <Item extends z.ZodType>(item: Item) =>
  z.strictObject({ items: z.array(item), next_cursor: z.string().nullable().describe('for `cursor` of the next call; null at the end') });
