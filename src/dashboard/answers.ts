// What the broker answers, by the schemas it answers with: a field that is renamed there does not compile here. Types alone; nothing of the server is bundled.
import type { z } from 'zod';
import type { agentSchema } from '../http/agent-view.ts';
import type { Answer } from '../http/answer-schemas.ts';
import type { approvalSchema } from '../http/approval-view.ts';
import type { agentStorySchema } from '../http/audit-story-schemas.ts';
import type { holdSchema } from '../http/hold-view.ts';
import type { leaseSchema, receiptAnswer } from '../http/lease-schemas.ts';
import type { lockSchema } from '../http/lock-view.ts';
import type { overviewSchema } from '../http/overview-schema.ts';
import type { reconciliationSchema } from '../http/reconciliation-view.ts';
import type { dryRunSchema, revocationResultSchema, revocationSchema } from '../http/revocation-view.ts';
import type { webhookList, webhookTestAnswer } from '../http/webhook-view.ts';

export type Agent = Answer<typeof agentSchema>;
export type AgentStory = Answer<typeof agentStorySchema>;
export type StoryTask = Extract<AgentStory['items'][number], { readonly kind: 'task' }>;
export type StoryRefusal = Extract<AgentStory['items'][number], { readonly kind: 'refusal' }>;
export type Approval = Answer<typeof approvalSchema>;
export type Hold = Answer<typeof holdSchema>;
export type Lease = Answer<typeof leaseSchema>;
export type Overview = Answer<typeof overviewSchema>;
export type Lock = Answer<typeof lockSchema>;
export type Receipt = Answer<typeof receiptAnswer>;
export type DryRun = Answer<typeof dryRunSchema>;
export type Reconciliation = Answer<typeof reconciliationSchema>;
export type Revocation = Answer<typeof revocationSchema>;
export type RevocationResult = z.infer<typeof revocationResultSchema>;
export type Webhook = z.infer<typeof webhookList>['items'][number];
export type WebhookTest = z.infer<typeof webhookTestAnswer>['test'];
export type LeaseState = Lease['state'];

export type Role = 'viewer' | 'operator' | 'admin';

export interface Caller {
  readonly kind: 'workload' | 'operator';
  readonly subject: string;
  readonly issuer: string;
  readonly role: Role | null;
  readonly token_expires_at: string;
}

/** Of a sign-in with the identity provider; null with a pasted token. */
export interface SignInSession {
  readonly expires_at: string;
  readonly idle_expires_at: string;
}

export interface WhoAmI {
  readonly caller: Caller;
  readonly now: string;
  readonly session?: SignInSession | null;
}

export interface Page<T> {
  readonly items: readonly T[];
  readonly next_cursor: string | null;
  /** Of all pages, where the broker counts it. */
  readonly total?: number | null;
}

/** A record of the audit log. `facts` differ by type. */
export interface AuditRecord {
  readonly seq?: number;
  readonly id: string;
  readonly at: string;
  readonly type: string;
  readonly task: string | null;
  readonly leases: readonly string[];
  readonly agent: { readonly issuer: string; readonly subject: string } | null;
  readonly by: { readonly issuer: string; readonly subject: string };
  readonly trace_id?: string | null;
  readonly facts: Readonly<Record<string, unknown>>;
}
