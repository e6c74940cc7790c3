import { expect } from '@jest/globals';

/**
 * What the OpenID Foundation's written scenario for AuthZEN 1.0 asks of a policy decision point, with entities of ours: its levels
 * Basic, Batch and Discovery, each Core and Properties, under its ids (`C.2.2.1`); `AZ-` is what we ask besides.
 */
export interface AuthzenCase {
  readonly id: string;
  readonly level: 'Basic Core' | 'Basic Properties' | 'Batch Core' | 'Batch Properties' | 'ours';
  readonly what: string;
  readonly path: '/access/v1/evaluation' | '/access/v1/evaluations';
  /** A text is sent as it stands. */
  readonly body: unknown;
  readonly contentType?: string;
  readonly status: 200 | 400;
  /** The decision, or those of a batch. */
  readonly decision?: boolean | readonly boolean[];
  /** Members of the context of the answer, or of the last one. */
  readonly context?: object;
  /** Where the problem points. */
  readonly pointers?: readonly string[];
}

/** The issuer whose word makes `agent:bob` an administrator. */
export const ADMINS = 'http://127.0.0.1:9/admins';

/** The fixture: alice reads and writes, bob reads, nobody but an administrator writes to what is archived. */
export const AUTHZEN_POLICIES = `
@id("read")
permit (principal, action == Mayfly::Action::"mint", resource)
when {
  [Mayfly::Agent::"agent:alice", Mayfly::Agent::"agent:bob"].contains(principal) &&
  context.purpose == Mayfly::Purpose::"refund-investigation" && context.operations == [Mayfly::Operation::"read"]
};

@id("alice-writes")
permit (principal == Mayfly::Agent::"agent:alice", action == Mayfly::Action::"mint", resource)
when {
  context.purpose == Mayfly::Purpose::"refund-investigation" &&
  [Mayfly::Operation::"read", Mayfly::Operation::"write"].containsAll(context.operations)
};

@id("administrators-write")
permit (principal == Mayfly::Agent::"agent:bob", action == Mayfly::Action::"mint", resource)
when {
  principal.issuer == "${ADMINS}" && context.purpose == Mayfly::Purpose::"refund-investigation" &&
  context.operations == [Mayfly::Operation::"write"] && context.params.contains("status=archived")
};

@id("archived-stays")
@deny_reason("what is archived is not written to")
forbid (principal, action == Mayfly::Action::"mint", resource)
when { context.operations.contains(Mayfly::Operation::"write") && context.params.contains("status=archived") }
unless { principal.issuer == "${ADMINS}" };

@id("export-with-approval")
permit (principal == Mayfly::Agent::"agent:alice", action == Mayfly::Action::"mint", resource)
when { context.purpose == Mayfly::Purpose::"data-export" && context.approvals >= 1 };

@id("alice-delegates-to-bob")
permit (principal == Mayfly::Agent::"agent:alice", action == Mayfly::Action::"delegate", resource)
when { context has for_agent && context.for_agent == "agent:bob" && context.delegation_depth == 0 };
`;

const ALICE = { type: 'agent', id: 'agent:alice' };
const BOB = { type: 'agent', id: 'agent:bob' };
const ADMIN = { ...BOB, properties: { issuer: ADMINS } };
const RECORD_1 = { type: 'credential', id: 'record-1' };
const RECORD_2 = { type: 'credential', id: 'record-2' };
const ARCHIVED = { ...RECORD_2, properties: { status: 'archived' } };
const MINT = { name: 'mint' };
/** The scenario's read, write and delete are what is done with the credential: the action of policy is always to mint it. */
const doing = (...actions: string[]) => ({ purpose: 'refund-investigation', actions });
const withActions = (...actions: string[]) => ({ ...MINT, properties: { actions } });
const PURPOSE = { purpose: 'refund-investigation' };

const ask = (subject: object, resource: object, context: object, action: object = MINT): object => ({ subject, action, resource, context });
const READ = ask(ALICE, RECORD_1, doing('read'));
const without = (...keys: string[]): object => Object.fromEntries(Object.entries(READ).filter(([key]) => !keys.includes(key)));

const one = (id: string, level: AuthzenCase['level'], what: string, body: unknown, answer: Partial<AuthzenCase>): AuthzenCase => ({ id, level, what, path: '/access/v1/evaluation', body, status: 200, ...answer });
const batch = (id: string, level: AuthzenCase['level'], what: string, body: unknown, answer: Partial<AuthzenCase>): AuthzenCase => ({ ...one(id, level, what, body, answer), path: '/access/v1/evaluations' });
const refused = (pointers: readonly string[]): Partial<AuthzenCase> => ({ status: 400, pointers });

export const AUTHZEN_CASES: readonly AuthzenCase[] = [
  one('C.2.2.1', 'Basic Core', 'permits what policy permits', READ, { decision: true }),
  one('C.2.2.2', 'Basic Core', 'denies what policy denies, as an answer and not as an error', ask(BOB, RECORD_1, doing('write')), { decision: false }),
  one('C.1.4 rule 2', 'Basic Core', 'permits the first subject another action', ask(ALICE, RECORD_1, doing('write')), { decision: true }),
  one('C.1.4 rule 3', 'Basic Core', 'permits another subject', ask(BOB, RECORD_1, doing('read')), { decision: true }),
  one('C.2.2.3', 'Basic Core', 'takes a context with members it does not know', ask(ALICE, RECORD_1, { ...doing('read'), time: '2025-06-27T18:03-07:00', ip: '192.0.2.1' }), { decision: true }),
  one('C.2.2.8', 'Basic Core', 'takes properties that nothing looks at', ask({ ...ALICE, properties: { department: 'sales', role: 'manager' } }, { ...RECORD_1, properties: { status: 'active', owner: 'bob' } }, doing('read'), { ...MINT, properties: { method: 'GET' } }), { decision: true }),
  one('C.2.2.9', 'Basic Core', 'ignores fields it does not know', { ...READ, foo: 'bar', later: { nested: true } }, { decision: true }),
  one('C.2.4.1', 'Basic Core', 'refuses a request without a subject', without('subject'), refused(['/subject'])),
  one('C.2.4.1', 'Basic Core', 'refuses a request without an action', without('action'), refused(['/action'])),
  one('C.2.4.1', 'Basic Core', 'refuses a request without a resource', without('resource'), refused(['/resource'])),
  one('C.2.4.2', 'Basic Core', 'refuses a subject without a type', { ...READ, subject: { id: 'agent:alice' } }, refused(['/subject/type'])),
  one('C.2.4.2', 'Basic Core', 'refuses a subject without an id', { ...READ, subject: { type: 'agent' } }, refused(['/subject/id'])),
  one('C.2.4.2', 'Basic Core', 'refuses an action without a name', { ...READ, action: {} }, refused(['/action/name'])),
  one('C.2.4.2', 'Basic Core', 'refuses a resource without a type', { ...READ, resource: { id: 'record-1' } }, refused(['/resource/type'])),
  one('C.2.4.2', 'Basic Core', 'refuses a resource without an id', { ...READ, resource: { type: 'credential' } }, refused(['/resource/id'])),
  one('C.2.4.3', 'Basic Core', 'refuses another content type', JSON.stringify(READ), { ...refused([]), contentType: 'text/plain' }),
  one('C.2.4.4', 'Basic Core', 'refuses what is not JSON', '{"subject":', refused([])),
  one('C.2.4.5', 'Basic Core', 'refuses an empty body', '', refused(['/subject', '/action', '/resource'])),
  one('C.2.4.6', 'Basic Core', 'refuses a subject that is a text', { ...READ, subject: 'agent:alice' }, refused(['/subject'])),
  one('C.2.4.6', 'Basic Core', 'refuses an action whose name is a number', { ...READ, action: { name: 123 } }, refused(['/action/name'])),

  one('C.2.2.4', 'Basic Properties', 'denies by a property of the resource, and says why', ask(ALICE, ARCHIVED, doing('write')), { decision: false, context: { result: 'deny', reasons: ['what is archived is not written to'] } }),
  one('C.2.2.5', 'Basic Properties', 'permits by a property of the subject', ask(ADMIN, ARCHIVED, doing('write')), { decision: true }),
  one('C.2.2.6', 'Basic Properties', 'permits by a property of the action', ask(ALICE, RECORD_1, PURPOSE, withActions('read', 'write')), { decision: true }),
  one('C.2.2.7', 'Basic Properties', 'denies by a property of the action', ask(ALICE, RECORD_1, PURPOSE, withActions('read', 'export')), { decision: false }),

  batch('C.3.2.1', 'Batch Core', 'takes defaults for each item', { subject: ALICE, action: MINT, context: doing('read'), evaluations: [{ resource: RECORD_1 }, { resource: RECORD_2 }] }, { decision: [true, true] }),
  batch('C.3.2.2', 'Batch Core', 'answers in the order of the request', { subject: BOB, action: MINT, resource: RECORD_1, evaluations: [{ context: doing('read') }, { context: doing('write') }] }, { decision: [true, false] }),
  batch('C.3.2.5', 'Batch Core', 'takes items that are whole', { evaluations: [READ, ask(BOB, RECORD_1, doing('write'))] }, { decision: [true, false] }),
  batch('C.3.2.6', 'Batch Core', 'takes the context of an item for that of the request', { subject: BOB, action: MINT, context: doing('write'), evaluations: [{ resource: RECORD_1 }, { resource: RECORD_2, context: { ...doing('read'), source: 'batch' } }] }, { decision: [false, true] }),
  batch('C.3.4.1', 'Batch Core', 'denies an item that lacks something, and answers the others', { subject: ALICE, action: MINT, context: doing('read'), evaluations: [{ resource: RECORD_1 }, {}] }, { decision: [true, false], context: { error: { status: 400, errors: [{ pointer: '/resource', detail: 'is required' }] } } }),
  batch('C.3.4.2', 'Batch Core', 'answers a request without items as a single one', READ, { decision: true }),
  batch('C.3.4.3', 'Batch Core', 'answers a request with no item as a single one', { ...READ, evaluations: [] }, { decision: true }),
  batch('C.2.4.1', 'Batch Core', 'refuses a single request that lacks something', without('resource'), refused(['/resource'])),
  batch('C.2.4.4', 'Batch Core', 'refuses what is not JSON', '[', refused([])),
  batch('C.2.4.6', 'Batch Core', 'refuses items that are no list', { ...READ, evaluations: {} }, refused(['/evaluations'])),

  batch('C.3.2.3', 'Batch Properties', "looks at each item's own resource", { subject: ALICE, action: MINT, context: doing('write'), evaluations: [{ resource: { ...RECORD_1, properties: { status: 'active' } } }, { resource: ARCHIVED }] }, { decision: [true, false] }),
  batch('C.3.2.4', 'Batch Properties', "looks at each item's own subject", { action: MINT, resource: ARCHIVED, context: doing('write'), evaluations: [{ subject: ALICE }, { subject: ADMIN }] }, { decision: [false, true] }),
  batch('C.3.2.7', 'Batch Properties', 'takes a type from the default where an item leaves it out', { subject: ALICE, action: MINT, context: doing('write'), resource: { type: 'credential' }, evaluations: [{ resource: { id: 'record-1', properties: { status: 'active' } } }, { resource: ARCHIVED }] }, { decision: [true, false] }),

  one('AZ-1.1', 'ours', 'denies without a purpose, which every permit of ours rests on', without('context'), { decision: false, context: { error: { status: 422, errors: [{ pointer: '/context/purpose', detail: 'is required' }, { pointer: '/context/actions', detail: 'is required' }] } } }),
  one('AZ-1.2', 'ours', 'denies a subject of another type', { ...READ, subject: { type: 'user', id: 'agent:alice' } }, { decision: false, context: { error: { errors: [{ pointer: '/subject/type' }] } } }),
  one('AZ-1.3', 'ours', 'denies a credential that nobody configured', { ...READ, resource: { type: 'credential', id: 'record-3' } }, { decision: false, context: { error: { errors: [{ pointer: '/resource/id' }] } } }),
  one('AZ-1.4', 'ours', 'denies an action that policy is never asked about', { ...READ, action: { name: 'read' } }, { decision: false, context: { error: { errors: [{ pointer: '/action/name' }] } } }),
  one('AZ-1.5', 'ours', 'denies an issuer that nobody configured', { ...READ, subject: { ...ALICE, properties: { issuer: 'https://evil.test' } } }, { decision: false, context: { error: { errors: [{ pointer: '/subject/properties/issuer' }] } } }),
  one('AZ-1.6', 'ours', "denies a parameter outside the credential's schema", { ...READ, resource: { ...RECORD_1, properties: { status: 'burnt' } } }, { decision: false, context: { error: { errors: [{ pointer: '/resource/properties/status' }] } } }),
  one('AZ-1.7', 'ours', 'denies a lifetime above the ceiling', ask(ALICE, RECORD_1, { ...doing('read'), ttl_seconds: 86_400 }), { decision: false, context: { error: { errors: [{ pointer: '/context/ttl_seconds' }] } } }),
  one('AZ-1.8', 'ours', 'denies what has to wait for a human', ask(ALICE, RECORD_1, { purpose: 'data-export', actions: ['export'] }), { decision: false, context: { result: 'approval_required', reasons: [expect.stringContaining('a human has to approve')] } }),
  one('AZ-1.9', 'ours', 'permits it with the approval', ask(ALICE, RECORD_1, { purpose: 'data-export', actions: ['export'], approvals: 1 }), { decision: true }),
  one('AZ-1.10', 'ours', 'asks about delegation to another agent', ask(ALICE, RECORD_1, { ...doing('read'), for_agent: 'agent:bob' }, { name: 'delegate' }), { decision: true }),
  one('AZ-1.11', 'ours', 'looks at the chain that authority came through', ask(ALICE, RECORD_1, { ...doing('read'), for_agent: 'agent:bob', delegation_chain: ['agent:root'] }, { name: 'delegate' }), { decision: false }),
  batch('AZ-4.1', 'ours', 'stops after the first denial where it is told to', { ...READ, options: { evaluations_semantic: 'deny_on_first_deny' }, evaluations: [{}, { subject: BOB, context: doing('write') }, {}] }, { decision: [true, false] }),
  batch('AZ-4.2', 'ours', 'stops after the first permit where it is told to', { ...READ, options: { evaluations_semantic: 'permit_on_first_permit' }, evaluations: [{ resource: 1 }, {}, {}] }, { decision: [false, true] }),
  batch('AZ-4.3', 'ours', 'answers all where it is told to', { ...READ, options: { evaluations_semantic: 'execute_all' }, evaluations: [{ subject: BOB, context: doing('write') }, {}] }, { decision: [false, true] }),
  batch('AZ-4.4', 'ours', 'refuses semantics that it does not know', { ...READ, options: { evaluations_semantic: 'best_of_three' }, evaluations: [{}] }, refused(['/options/evaluations_semantic'])),
  batch('AZ-4.5', 'ours', 'refuses more items than its bound', { ...READ, evaluations: Array.from({ length: 51 }, () => ({})) }, refused(['/evaluations'])),
  batch('AZ-4.6', 'ours', 'denies an item that is no object', { ...READ, evaluations: [{}, []] }, { decision: [true, false], context: { error: { status: 400 } } }),
];
