import type { LeaseId } from '../../core/ids.ts';
import { awsInstant } from './session-policy.ts';

/**
 * The inline policy of a role that ends its sessions one by one. It says by itself until when each deny is needed, so
 * nothing has to be remembered elsewhere. Statements that are not ours are kept as they are.
 */

/** All inline policies of a role together, white space not counted (IAM quotas). */
export const MAX_INLINE_POLICIES = 10_240;

/** A session to deny: its name is the lease's id. */
export interface Deny {
  readonly leaseId: LeaseId;
  /** When AWS itself has ended the session. */
  readonly untilMs: number;
}

export interface DenyPolicy {
  /** Until when each is needed, by pattern of `aws:userid`. */
  readonly denies: ReadonlyMap<string, number>;
  /** Every session issued before `issuedBeforeMs` is denied, since there was no room to name them. */
  readonly widened: { readonly issuedBeforeMs: number; readonly untilMs: number } | null;
  readonly foreign: readonly unknown[];
}

export const NO_DENIES: DenyPolicy = { denies: new Map(), widened: null, foreign: [] };

/** Ends are rounded up to this: denies of one end share a statement, and each statement takes room. */
const END_STEP_MS = 300_000;
/** 64 bits of the lease's id: room for twice as many as with all of it, and no two live sessions share them. */
const ID_CHARACTERS = 'lse_'.length + 16;
const OURS = /^MayflyUntil(\d{8}T\d{6}Z)$/;
const OURS_WIDENED = /^MayflyIssuedBefore(\d{8}T\d{6}Z)Until(\d{8}T\d{6}Z)$/;

/** `aws:userid` is `<role id>:<session name>`, and the policy is that of one role. */
const patternOf = (leaseId: LeaseId): string => `*:${leaseId.slice(0, ID_CHARACTERS)}*`;

export const holds = (policy: DenyPolicy, { leaseId }: Deny): boolean => policy.denies.has(patternOf(leaseId));

/** Whether a session is denied, by its name or, as one that was asked for before then, with all that were issued until an instant. */
export const keepsOut = (policy: DenyPolicy, deny: Pick<Deny, 'leaseId'>, askedForAtMs: number): boolean =>
  policy.denies.has(patternOf(deny.leaseId)) || (policy.widened !== null && askedForAtMs < policy.widened.issuedBeforeMs);

/** With these denies added, and without those whose session has ended by itself. */
export function withDenies(policy: DenyPolicy, added: readonly Deny[], nowMs: number): DenyPolicy {
  const denies = new Map([...policy.denies].filter(([, untilMs]) => untilMs > nowMs));
  for (const deny of added) {
    const pattern = patternOf(deny.leaseId);
    denies.set(pattern, Math.max(denies.get(pattern) ?? 0, Math.ceil(deny.untilMs / END_STEP_MS) * END_STEP_MS));
  }
  return { ...policy, denies, widened: policy.widened !== null && policy.widened.untilMs > nowMs ? policy.widened : null };
}

/** One deny of everything issued until now instead of the old denies; `added` are named still, should one be issued only now. */
export function widen(policy: DenyPolicy, added: readonly Deny[], nowMs: number): DenyPolicy {
  const untilMs = Math.max(nowMs, policy.widened?.untilMs ?? 0, ...policy.denies.values(), ...added.map((deny) => Math.ceil(deny.untilMs / END_STEP_MS) * END_STEP_MS));
  return withDenies({ ...policy, denies: new Map(), widened: { issuedBeforeMs: Math.ceil(nowMs / 1000) * 1000, untilMs } }, added, nowMs);
}

/** The document, or null where nothing is left to say. Its length is what counts against `MAX_INLINE_POLICIES`. */
export function renderDenyPolicy({ denies, widened, foreign }: DenyPolicy): string | null {
  const byEnd = new Map<number, string[]>();
  for (const [pattern, untilMs] of denies) byEnd.set(untilMs, [...(byEnd.get(untilMs) ?? []), pattern]);
  const deny = (sid: string, condition: object) => ({ Sid: sid, Effect: 'Deny', Action: '*', Resource: '*', Condition: condition });
  const statements = [
    ...foreign,
    ...(widened === null
      ? []
      : [deny(`MayflyIssuedBefore${compact(widened.issuedBeforeMs)}Until${compact(widened.untilMs)}`, { DateLessThan: { 'aws:TokenIssueTime': awsInstant(widened.issuedBeforeMs) } })]),
    ...[...byEnd].sort(([a], [b]) => a - b).map(([untilMs, patterns]) => deny(`MayflyUntil${compact(untilMs)}`, { StringLike: { 'aws:userid': patterns.sort() } })),
  ];
  return statements.length === 0 ? null : JSON.stringify({ Version: '2012-10-17', Statement: statements });
}

/** Reads a document as IAM gives it back. Throws `SyntaxError` or `TypeError` for what is no policy. */
export function parseDenyPolicy(document: string): DenyPolicy {
  const { Statement: found } = JSON.parse(document) as { Statement?: unknown };
  if (found === undefined) throw new TypeError('the policy has no statements');
  const statements: readonly unknown[] = Array.isArray(found) ? found : [found];
  const denies = new Map<string, number>();
  let widened: DenyPolicy['widened'] = null;
  const foreign: unknown[] = [];
  for (const statement of statements) {
    const { Sid: sid = '', Condition: condition } = statement as { Sid?: string; Condition?: { StringLike?: Record<string, string | string[]> } };
    const [, until] = OURS.exec(sid) ?? [];
    const [, issuedBefore, widenedUntil] = OURS_WIDENED.exec(sid) ?? [];
    const patterns = condition?.StringLike?.['aws:userid'];
    if (until !== undefined && patterns !== undefined) for (const pattern of [patterns].flat()) denies.set(pattern, fromCompact(until));
    else if (issuedBefore !== undefined && widenedUntil !== undefined) widened = { issuedBeforeMs: fromCompact(issuedBefore), untilMs: fromCompact(widenedUntil) };
    else foreign.push(statement);
  }
  return { denies, widened, foreign };
}

/** A statement's id takes letters and digits only: `20261124T041500Z`. */
const compact = (ms: number): string => awsInstant(ms).replaceAll(/[-:]/g, '');
const fromCompact = (text: string): number => Date.parse(text.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'));
