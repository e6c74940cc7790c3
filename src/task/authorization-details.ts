import { z } from 'zod';
import { parse, REQUEST_SCHEMAS, type Declaration } from './declaration.ts';

/** The type of authorization details that a task declaration is (RFC 9396 section 2.1). */
export const TASK_DETAILS_TYPE = 'urn:mayfly:task:v1';

const { purpose, justification, ticket, actions, data_classes: dataClasses, context, ttl_seconds: ttlSeconds, credentials } = REQUEST_SCHEMAS.declaration.shape;
const { name: credentialName, params } = credentials.element.shape;

/** RFC 8707 section 2: an absolute URI without a fragment. */
export const isResource = (text: string): boolean => text.length <= 2_048 && /^[a-z][a-z0-9+.-]*:[\x21-\x7e]+$/i.test(text) && !text.includes('#') && URL.canParse(text);

/**
 * A declaration of one task with one token, in the words of RFC 9396: `datatypes` are data classes, `locations` holds the
 * audience of the token. What it does not know is refused, not passed over.
 */
export const taskDetails = z
  .strictObject({
    type: z.literal(TASK_DETAILS_TYPE),
    purpose,
    actions,
    datatypes: dataClasses.describe("out of the operator's data classes"),
    locations: z.array(z.string().max(2_048).refine(isResource, 'an absolute URI without a fragment')).max(1).optional().describe('who the token is for; the same as `resource`'),
    credential: credentialName.optional().describe('which credential of kind `jwt`, where its audience alone does not say'),
    params: params.describe('what the credential lets one choose'),
    ttl_seconds: ttlSeconds.describe('of the task and its token; too long is refused, never shortened'),
    justification,
    ticket,
    context,
  })
  .meta({ title: 'Task declaration', description: 'a task declaration as authorization details (RFC 9396)' });
export type TaskDetails = z.infer<typeof taskDetails>;

/** Throws `invalid_request` with a JSON Pointer for each fault. */
export const parseTaskDetails = (details: unknown): TaskDetails => parse(taskDetails, details);

/** The declaration that the details stand for: for the caller itself, starting now, with one credential that lives as long as the task. */
export function declarationOf(details: TaskDetails, credential: string, ttlSeconds: number): Declaration {
  const { purpose, actions, datatypes, params, justification, ticket, context } = details;
  return parse(REQUEST_SCHEMAS.declaration, {
    ...{ purpose, actions, data_classes: datatypes, context, ttl_seconds: ttlSeconds },
    ...(justification === undefined ? {} : { justification }),
    ...(ticket === undefined ? {} : { ticket }),
    credentials: [{ name: credential, ttl_seconds: ttlSeconds, params }],
  });
}
