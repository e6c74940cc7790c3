/** What `GET /v1/overview` answers, as far as a terminal shows it. */
export interface OverviewAnswer {
  readonly now: string;
  readonly version: string;
  readonly deployment_id: string;
  readonly hold: boolean;
  readonly leases: {
    readonly active: number;
    readonly overdue: number;
    readonly oldest_overdue_seconds: number;
    readonly stuck: number;
    readonly lapsing: number;
    readonly disclosed: number;
    readonly expiring: readonly { readonly within_seconds: number; readonly count: number }[];
  };
  readonly timeline: readonly { readonly provider: string; readonly per_minute: readonly number[] }[];
  readonly lateness: {
    readonly hour: { readonly count: number; readonly p50_seconds: number | null; readonly p99_seconds: number | null; readonly max_seconds: number | null };
    readonly window: { readonly count: number; readonly late: number; readonly budget_remaining: number | null };
  };
  readonly providers: readonly { readonly name: string; readonly up: boolean }[];
  readonly queues: readonly { readonly provider: string; readonly waiting: number; readonly active: number; readonly delayed: number; readonly failed: number }[];
  readonly tasks: { readonly pending_approval: number; readonly active: number; readonly ending: number };
  readonly denials: { readonly hour: number; readonly day: number };
  readonly locks: number;
}
