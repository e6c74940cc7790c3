import { z } from 'zod';
import { isLeaseId } from '../core/ids.ts';
import { Problem, type FieldFault } from '../core/problem.ts';

/** A declaration's free text: 500 characters, no control characters, so that it cannot forge lines where it is read. */
export const freeText = z.string().max(500).regex(/^[^\u0000-\u001f\u007f-\u009f]*$/u, 'no control characters');

/** An instant that a caller gives, RFC 3339 with its offset. */
export const instant = z.iso.datetime({ offset: true, error: 'an RFC 3339 instant' });
/** A word of one of the operator's closed lists. Which words exist is policy's to say. */
const word = z.string().regex(/^[a-z][a-z0-9_.-]{0,63}$/, 'lower-case letters, digits, `-`, `_` and `.`, at most 64, starting with a letter');
const credentialName = z.string().regex(/^[a-z][a-z0-9-]{0,62}$/, 'the name of a configured credential');
/** 1 s at least; the ceiling depends on configuration and policy. */
const ttlSeconds = z.int().min(1).max(86_400);
/** As tokens name their subjects: nobody could prove to be any other, and a line that it breaks is one that it writes, where a human or a terminal reads it. */
const subject = z.string().min(1).max(2_048).regex(/^[^\u0000-\u001f\u007f-\u009f]*$/u, 'no control characters');

const scalar = z.union([z.string().max(1_024), z.number(), z.boolean()], { error: 'a string, a number or a boolean' });
const CONTEXT_BYTES = 4_096;
const context = z
  .record(z.string().regex(/^[a-z][a-z0-9_.-]{0,63}$/, 'a key of lower-case letters, digits, `-`, `_` and `.`'), scalar)
  .refine((value) => Buffer.byteLength(JSON.stringify(value)) <= CONTEXT_BYTES, 'at most 4 KiB');
const params = z.record(z.string().max(64), scalar);

const unique = (items: readonly unknown[]): boolean => new Set(items).size === items.length;
const words = (max: number) => z.array(word).max(max).refine(unique, 'no word twice').meta({ uniqueItems: true });

const toolCall = z.strictObject({
  id: z.string().regex(/^[\w.:-]{1,128}$/, 'letters, digits, `_`, `.`, `:` and `-`, at most 128'),
  tool: z.string().regex(/^[\w.:/-]{1,128}$/, 'letters, digits, `_`, `.`, `:`, `/` and `-`, at most 128'),
});

const credentialRequest = z.strictObject({
  name: credentialName.describe('a configured credential'),
  ttl_seconds: ttlSeconds.optional().describe("defaults to the task's"),
  params: params.default({}).describe('what the credential lets one choose'),
});

const evidence = z.strictObject({
  kind: z.enum(['orchestrator_signed', 'user_consented']).describe('an orchestrator signed this declaration, or a user agreed to it'),
  token: z.string().min(1).max(16_384).describe('the signed declaration (`typ` of `mayfly-declaration+jwt`), or the token of the user'),
});

export const declaration = z.strictObject({
  purpose: word.describe("one of the operator's purposes"),
  justification: freeText.optional().describe('for the record; decides nothing'),
  ticket: z.string().regex(/^[\w.:/#-]{1,64}$/, 'letters, digits, `_`, `.`, `:`, `/`, `#` and `-`, at most 64').optional().describe('of the request that this work is for'),
  agent: subject.optional().describe('who will act; the caller where not given'),
  agent_issuer: z.string().min(1).max(2_048).optional().describe("who vouches for that agent; the caller's issuer, or the trust domain of a SPIFFE ID, where not given"),
  actions: words(16).min(1).describe("out of the operator's actions"),
  data_classes: words(16).default([]).describe("out of the operator's data classes"),
  context: context.default({}).describe('at most 4 KiB'),
  ttl_seconds: ttlSeconds.optional().describe('of the task; too long is refused, never shortened'),
  evidence: evidence.optional().describe("whose word it rests on, where it is not the declarer's own"),
  start: z.enum(['now', 'claim']).optional().describe('`claim`: it waits until the agent picks it up, as it always does for another agent'),
  claim_ticket: z.boolean().default(false).describe('ask for a ticket that the claim must show'),
  heartbeat_seconds: z.int().min(5).max(3_600).optional().describe('how often the agent promises to be heard; not at all where not given'),
  credentials: z
    .array(credentialRequest)
    .min(1)
    .max(64)
    .refine((items) => unique(items.map((item) => item.name)), 'no credential twice')
    .describe('all are minted, or none'),
});

/** A part of a task for another agent: a declaration whose purpose is the parent's, and that always waits for its claim. */
export const delegation = declaration.omit({ start: true, evidence: true }).extend({
  agent: subject.describe('who will act'),
  purpose: declaration.shape.purpose.optional().describe("the parent's, which is also the default"),
  ticket: declaration.shape.ticket.describe("the parent's, which is also the default"),
  context: context.default({}).describe("added to the parent's; at most 4 KiB"),
  ttl_seconds: ttlSeconds.optional().describe('at most what is left of the parent'),
});

const extraCredential = credentialRequest.extend({ tool_call: toolCall.optional().describe('the tool call it is for') });

const claim = z.strictObject({ claim_ticket: z.string().regex(/^[\w-]{43}$/, 'the ticket of 43 characters that the declaration was answered with').optional().describe('where the declaration asked for one') });

const reissue = z.strictObject({ name: credentialName.describe('a credential that the task holds or held') });

const extension = z.strictObject({ ttl_seconds: ttlSeconds.describe('the new total, from now') });

const toolCallReport = toolCall.extend({
  outcome: z.enum(['succeeded', 'failed', 'refused']).describe('as the agent saw it'),
  lease_id: z.string().refine(isLeaseId, 'a lease id').optional().describe('the credential it used'),
  started_at: instant.optional().describe('when it began'),
  ended_at: instant.optional().describe('when it ended'),
  note: freeText.optional().describe('for the record'),
});

const completion = z.strictObject({
  outcome: z.enum(['succeeded', 'failed', 'cancelled']).default('succeeded').describe('as the caller saw it'),
  note: freeText.optional().describe('for the record'),
});

/** What a caller asks for, as parsed: every field has its type and its bounds; what it names may still not exist. */
export type Declaration = z.infer<typeof declaration>;
export type DelegationRequest = z.infer<typeof delegation>;
export type CredentialRequest = z.infer<typeof extraCredential>;
export type Completion = z.infer<typeof completion>;
export type ToolCallReport = z.infer<typeof toolCallReport>;

export const parseDeclaration = (body: unknown): Declaration => parse(declaration, body);
export const parseDelegation = (body: unknown): DelegationRequest => parse(delegation, body);
export const parseCredentialRequest = (body: unknown): CredentialRequest => parse(extraCredential, body);
export const parseClaim = (body: unknown): { claim_ticket?: string | undefined } => parse(claim, body);
export const parseReissue = (body: unknown): { name: string } => parse(reissue, body);
export const parseExtension = (body: unknown): { ttl_seconds: number } => parse(extension, body);
export const parseToolCallReport = (body: unknown): ToolCallReport => parse(toolCallReport, body);
export const parseCompletion = (body: unknown): Completion => parse(completion, body);

/** The schemas themselves, for the description of the interface. */
export const REQUEST_SCHEMAS = { declaration, delegation, claim, extraCredential, reissue, extension, toolCallReport, completion };

/** Parses untyped input. Throws `invalid_request` with a JSON Pointer for each fault. */
export function parse<T>(schema: z.ZodType<T>, body: unknown): T {
  const unusable = unusableParts(body);
  if (unusable.length > 0) throw invalidRequest(unusable);
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  throw invalidRequest(result.error.issues.flatMap(faultsOf));
}

/**
 * Members called `__proto__`, at any depth: libraries drop them without a word or, worse, follow them. And text with half of a
 * surrogate pair, which JSON can hold and UTF-8 cannot: policy cannot be asked about it, and no two programs store the same of it.
 */
function unusableParts(body: unknown): FieldFault[] {
  const faults: FieldFault[] = [];
  const left: { readonly value: unknown; readonly path: readonly string[] }[] = [{ value: body, path: [] }];
  for (let item = left.pop(); item !== undefined; item = left.pop()) {
    if (typeof item.value === 'string' && !item.value.isWellFormed()) faults.push({ pointer: jsonPointer(item.path), detail: HALF });
    if (typeof item.value !== 'object' || item.value === null) continue;
    for (const [key, value] of Object.entries(item.value)) {
      const path = [...item.path, key];
      if (!key.isWellFormed()) faults.push({ pointer: jsonPointer(item.path), detail: HALF });
      else if (key === '__proto__') faults.push({ pointer: jsonPointer(path), detail: 'is not a name a field can have' });
      // Deeper than any body we take: what is below cannot be a known field, and the schema will say so.
      else if (path.length < 16) left.push({ value, path });
    }
  }
  return faults;
}

const HALF = 'holds half of a surrogate pair, which is no character';

/** The problem for input that has these faults. */
export function invalidRequest(errors: readonly FieldFault[]): Problem {
  const first = errors[0];
  const where = first === undefined ? '' : `: ${first.pointer || '/'} ${first.detail}`;
  const more = errors.length > 1 ? ` (and ${errors.length - 1} more)` : '';
  return new Problem('invalid_request', `the request is not valid${where}${more}`, { errors });
}

/** RFC 6901: `~` and `/` inside a member name are escaped. */
export const jsonPointer = (path: readonly PropertyKey[]): string =>
  path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');

function faultsOf(issue: z.core.$ZodIssue): FieldFault[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ pointer: jsonPointer([...issue.path, key]), detail: 'is not a known field' }));
  }
  return [{ pointer: jsonPointer(issue.path), detail: detailOf(issue) }];
}

function detailOf(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return issue.input === undefined ? 'is required' : `must be ${issue.expected === 'int' ? 'a whole number' : `of type ${issue.expected}`}`;
    case 'too_big':
      return `must be at most ${String(issue.maximum)}${unitOf(issue.origin)}`;
    case 'too_small':
      return `must be at least ${String(issue.minimum)}${unitOf(issue.origin)}`;
    case 'invalid_value':
      return `must be one of ${issue.values.map(String).join(', ')}`;
    case 'invalid_format':
      return `must be ${issue.message}`;
    case 'invalid_key':
      return `has a key that must be ${issue.issues[0]?.message ?? 'different'}`;
    default:
      return `must be ${issue.message}`;
  }
}

function unitOf(origin: string): string {
  if (origin === 'string') return ' characters long';
  return origin === 'array' ? ' items' : '';
}
