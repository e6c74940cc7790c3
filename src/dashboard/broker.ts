// What the page asks of the broker. A token goes into a header and nowhere else; a cookie is the browser's own business.
import type { Agent, AgentStory, Approval, AuditRecord, DryRun, Hold, Lease, Lock, Overview, Page, Receipt, Reconciliation, Revocation, Webhook, WebhookTest, WhoAmI } from './answers.ts';
import { completeEvent, type FeedEvent } from './feed-event.ts';

/** What the broker said when it said no. */
export class Refused extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, problem: { readonly title?: string; readonly detail?: string; readonly code?: string; readonly errors?: readonly { pointer: string; detail: string }[] }) {
    // The first of them is in the detail as well.
    const faults = (problem.errors ?? []).slice(1).map(({ pointer, detail }) => `${pointer}: ${detail}`).join('; ');
    super([problem.detail ?? problem.title ?? `the broker answered ${status}`, faults].filter((part) => part !== '').join(' – '));
    this.status = status;
    this.code = problem.code ?? '';
  }
}

/** What went wrong, for a reader. */
export const saidOf = (error: unknown): string => (error instanceof Refused ? error.message : 'The broker cannot be reached.');

export type Query = Readonly<Record<string, string | number | undefined>>;
export type Selector = Readonly<Record<string, string | true | readonly string[]>>;
export type Broker = ReturnType<typeof connectBroker>;

const MAX_AGENTS = 2_000;

/** @param token of an operator; null where a cookie says who calls */
export function connectBroker(token: string | null) {
  // The header tells a request of this page from a form that another site made the browser send.
  // `background`: what the page asks by itself keeps no session alive whose person has gone.
  const headers: Record<string, string> = { 'X-Mayfly-Request': 'background', ...(token === null ? {} : { Authorization: `Bearer ${token}` }) };

  async function ask<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await fetch(path, {
      method,
      cache: 'no-store',
      headers: { ...headers, ...(method !== 'GET' || navigator.userActivation.isActive ? { 'X-Mayfly-Request': 'dashboard' } : {}), ...(body === undefined ? {} : { 'Content-Type': 'application/json' }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (!response.ok) throw new Refused(response.status, (await response.json().catch(() => ({}))) as ConstructorParameters<typeof Refused>[1]);
    // An answer that broke off is none: half of one would be taken for all there is.
    return (response.status === 204 ? {} : await response.json()) as T;
  }

  const get = <T>(path: string, query: Query = {}): Promise<T> => {
    const given = Object.entries(query).flatMap(([name, value]) => (value === undefined || value === '' ? [] : [[name, String(value)]]));
    return ask('GET', given.length === 0 ? path : `${path}?${new URLSearchParams(given)}`);
  };
  const id = encodeURIComponent;

  /** All pages of a list, up to `most` items. */
  async function all<T>(path: string, query: Query, most: number): Promise<T[]> {
    const items: T[] = [];
    let cursor: string | undefined;
    do {
      const page: Page<T> = await get(path, { ...query, limit: Math.min(500, most), cursor });
      items.push(...page.items);
      cursor = page.next_cursor ?? undefined;
    } while (cursor !== undefined && items.length < most);
    return items;
  }

  return {
    /** What a stream of events needs to say who listens. */
    headers,

    /** Who we are here, and the broker's clock: what it said, less how long this page had run in the middle of the call. */
    async whoami(): Promise<WhoAmI & { readonly clockOffsetMs: number }> {
      const asked = performance.now();
      const answer = await ask<WhoAmI>('GET', '/v1/whoami');
      return { ...answer, clockOffsetMs: Date.parse(answer.now) - (asked + performance.now()) / 2 };
    },

    leases: (query: Query) => get<Page<Lease>>('/v1/leases', query),
    lease: async (lease: string) => (await get<{ lease: Lease }>(`/v1/leases/${id(lease)}`)).lease,
    receipt: (lease: string) => get<Receipt>(`/v1/leases/${id(lease)}/receipt`),
    retry: (lease: string) => ask('POST', `/v1/leases/${id(lease)}/retry`, {}),

    countLive: async (selector: Selector) => (await ask<{ revocation: DryRun }>('POST', '/v1/revocations', { selector, reason: 'dry run', dry_run: true })).revocation,
    revoke: async (selector: Selector, reason: string) => (await ask<{ revocation: Revocation }>('POST', '/v1/revocations', { selector, reason })).revocation,
    revocation: async (revocation: string) => (await get<{ revocation: Revocation }>(`/v1/revocations/${id(revocation)}`)).revocation,

    overview: () => get<Overview>('/v1/overview'),

    /** What waits for a human, oldest first. More than these are no list to decide from. */
    waiting: () => get<Page<Approval>>('/v1/approvals', { limit: 200 }),
    approval: async (task: string) => (await get<{ approval: Approval }>(`/v1/tasks/${id(task)}/approval`)).approval,
    /** One human's yes or no, to what the digest is of. */
    decide: async (task: string, answer: { decision: 'approve' | 'deny'; digest: string; note?: string }) =>
      (await ask<{ approval: Approval }>('POST', `/v1/tasks/${id(task)}/approval`, answer)).approval,

    locks: async () => (await get<Page<Lock>>('/v1/locks')).items,
    lock: (wanted: { selector: Selector; reason: string; until: string; revoke: boolean }) => ask<{ lock: Lock; revocation: Revocation | null }>('POST', '/v1/locks', wanted),
    lift: (lock: string) => ask('DELETE', `/v1/locks/${id(lock)}`),

    agents: () => all<Agent>('/v1/agents', {}, MAX_AGENTS),
    disableAgent: (agent: string, reason: string) => ask<{ agent: Agent; revocation: Revocation }>('POST', `/v1/agents/${id(agent)}/disable`, { reason }),
    enableAgent: (agent: string) => ask('POST', `/v1/agents/${id(agent)}/enable`, {}),

    hold: async () => (await get<{ hold: Hold | null }>('/v1/hold')).hold,
    /** Answers the comparison that ends what no record accounts for. */
    releaseHold: async (reason: string) => (await ask<{ reconciliation: Reconciliation }>('POST', '/v1/hold/release', { reason })).reconciliation,

    /** Has targets and records compared; done when `reconciliation` says so. */
    reconcile: async (dryRun: boolean) => (await ask<{ reconciliation: Reconciliation }>('POST', '/v1/reconciliations', { dry_run: dryRun })).reconciliation,
    reconciliation: async (reconciliation: string) => (await get<{ reconciliation: Reconciliation }>(`/v1/reconciliations/${id(reconciliation)}`)).reconciliation,

    webhooks: async () => (await get<Page<Webhook>>('/v1/webhooks')).items,
    enableWebhook: (webhook: string) => ask('POST', `/v1/webhooks/${id(webhook)}/enable`, {}),
    testWebhook: async (webhook: string) => (await ask<{ test: WebhookTest }>('POST', `/v1/webhooks/${id(webhook)}/test`, {})).test,

    audit: async (query: Query): Promise<Page<AuditRecord>> => {
      const { items, next_cursor } = await get<Page<{ seq: number; sealed_at: string; event: Partial<AuditRecord> & { readonly type: string } }>>('/v1/audit', query);
      // What the sealer itself has to say has no time of its own.
      return { items: items.map(({ seq, sealed_at: at, event }) => ({ ...completeEvent(`record-${seq}`, event as FeedEvent), at: event.at ?? at, seq })), next_cursor };
    },

    story: (query: Query) => get<AgentStory>('/v1/audit/story', query),

    /** Whether people sign in here with an identity provider. */
    canSignIn: async (): Promise<boolean> => {
      try {
        return (await get<{ sign_in: boolean }>('/auth/methods')).sign_in;
      } catch {
        return false;
      }
    },
    /** Ends the session here; answers where it is ended at the identity provider too, or null. */
    signOut: async () => (await ask<{ end_session_url: string | null }>('POST', '/auth/sign-out', {})).end_session_url,
  };
}
