import { z } from 'zod';
import { PROBLEMS, type ProblemCode } from '../../core/problem.ts';
import { traceIdSchema } from '../answer-schemas.ts';
import { holdSchema } from '../hold-view.ts';
import { OAUTH_ERRORS, type OAuthErrorCode } from '../oauth/oauth-error.ts';

const decision = z.strictObject({
  id: z.string(),
  result: z.enum(['deny', 'approval_required']),
  policies: z.array(z.string()),
  policy_version: z.string(),
  approvals_needed: z.int().min(0).describe('how many humans would have to approve a new declaration'),
  reasons: z.array(z.string()).describe('what the author of a policy chose to publish'),
});

/** An RFC 9457 document as `problemResponse` writes it. */
export const problemSchema = z
  .strictObject({
    type: z.string().regex(/^urn:mayfly:problem:[a-z_]+$/),
    title: z.string(),
    status: z.int().min(400).max(599),
    detail: z.string(),
    instance: z.string(),
    code: z.enum(Object.keys(PROBLEMS) as [ProblemCode, ...ProblemCode[]]),
    request_id: z.string(),
    trace_id: traceIdSchema,
    errors: z
      .array(z.strictObject({ pointer: z.string().describe('JSON Pointer to the field, in the body or the query'), detail: z.string() }))
      .optional(),
    decision: decision.optional().describe('with `policy_denied`'),
    lock: z.strictObject({ id: z.string(), until: z.iso.datetime() }).optional().describe('with `locked`'),
    hold: holdSchema.optional().describe('with `held`'),
    provider: z.string().optional().describe('with `provider_refused` and `provider_unavailable`'),
  })
  .meta({ id: 'Problem', description: 'an error (RFC 9457); `code` is stable, see docs/problems.md' });

/** An OAuth error as `oauthErrorResponse` writes it. */
export const oauthErrorSchema = z
  .strictObject({
    error: z.enum(Object.keys(OAUTH_ERRORS) as [OAuthErrorCode, ...OAuthErrorCode[]]),
    error_description: z.string().regex(/^[\x20-\x21\x23-\x5b\x5d-\x7e]*$/),
    decision: decision.optional().describe('with `access_denied`, where policy denied it'),
  })
  .meta({ id: 'OAuthError', description: 'an error of the OAuth face (RFC 6749 section 5.2)' });
