// The live leases that a filter matches, in order: pages as far as somebody scrolls, kept true by events between them.
import { signal, type ReadonlySignal } from '@preact/signals';
import type { Lease } from './answers.ts';
import { saidOf, type Broker } from './broker.ts';
import type { LeaseChange } from './feed-event.ts';
import { byUrgency, isFinal, placeOf, rowOf, type Row } from './lease-order.ts';

export const FILTERS = ['agent', 'owner', 'purpose', 'credential', 'provider', 'state', 'task', 'tree', 'trace_id'] as const;
export type LeaseFilter = Readonly<Partial<Record<(typeof FILTERS)[number], string>>>;

export interface LeaseList {
  /** In order. The same array for as long as `version` does not change. */
  readonly rows: () => readonly Row[];
  readonly version: ReadonlySignal<number>;
  /** Of all that match, loaded or not; null while that is not known. */
  readonly total: ReadonlySignal<number | null>;
  readonly isLoading: ReadonlySignal<boolean>;
  readonly hasMore: ReadonlySignal<boolean>;
  /** Why the broker does not answer this filter; empty when it does. */
  readonly problem: ReadonlySignal<string>;
  get(id: string): Lease | undefined;
  show(filter: LeaseFilter): Promise<void>;
  /** Loads the next page, where there is one. */
  more(): Promise<void>;
  apply(changes: readonly LeaseChange[]): void;
  /** Looks again at what is urgent: what is gone from there has ended. */
  check(): Promise<void>;
  stop(): void;
}

/** The first page is on the screen at once; those after it are few. */
const FIRST_PAGE = 200;
const PAGE = 5_000;
/** Fields that an event says of a lease, so that one it begins can be taken into the list without asking. */
const TOLD = new Set<string>(['agent', 'purpose', 'credential', 'provider', 'state', 'task', 'trace_id']);
/** Ids of what has ended, so that an answer that was on its way meanwhile does not bring it back. */
const MOST_ENDED = 20_000;
/** More than these are not asked for one by one. */
const MOST_UNCLEAR = 100;
const AT_ONCE = 4;

export function createLeaseList(broker: Pick<Broker, 'leases' | 'lease'>, now: () => number, onError: (error: unknown) => void): LeaseList {
  const byId = new Map<string, Row>();
  const ended = new Set<string>();
  const unclear = new Set<string>();
  const version = signal(0);
  const total = signal<number | null>(null);
  const isLoading = signal(false);
  const hasMore = signal(false);
  const problem = signal('');
  let rows: Row[] = [];
  let filter: LeaseFilter = {};
  /** Goes up with the filter: an answer to an older question is dropped. */
  let asked = 0;
  let cursor: string | null = null;
  /** Due times up to here are loaded. */
  let horizonMs = Infinity;
  let asking = false;

  const question = () => {
    const { state, ...words } = filter;
    if (state === undefined) return { ...words, live: 'true', order: 'due' };
    // Not a state of a lease but of the clock.
    return state === 'overdue' ? { ...words, live: 'true', due_before: new Date(now()).toISOString() } : { ...words, state };
  };
  const changed = (): void => void (version.value += 1);

  function put(lease: Lease): void {
    take(lease.id);
    const row = rowOf(lease);
    byId.set(lease.id, row);
    rows.splice(placeOf(rows, row), 0, row);
  }

  function take(id: string): boolean {
    const row = byId.get(id);
    if (row === undefined) return false;
    rows.splice(placeOf(rows, row), 1);
    byId.delete(id);
    return true;
  }

  function putAll(leases: readonly Lease[]): void {
    for (const lease of leases) {
      if (ended.has(lease.id) || (filter.state === undefined && isFinal(lease.state))) continue;
      byId.set(lease.id, rowOf(lease));
    }
    rows = [...byId.values()].sort(byUrgency);
  }

  const fits = (lease: Lease): boolean =>
    (filter.agent === undefined || lease.agent === filter.agent) &&
    (filter.purpose === undefined || lease.purpose === filter.purpose) &&
    (filter.credential === undefined || lease.credential === filter.credential) &&
    (filter.provider === undefined || lease.provider === filter.provider) &&
    (filter.task === undefined || lease.task_id === filter.task) &&
    (filter.trace_id === undefined || lease.trace_id === filter.trace_id) &&
    (filter.state === undefined || filter.state === lease.state || filter.state === 'overdue');

  const adjust = (by: number): void => {
    const known = total.peek();
    if (known !== null) total.value = Math.max(rows.length, known + by);
  };

  /** Stuck ones stand first, however far away their due time is. */
  const stuckOnes = async (): Promise<readonly Lease[]> => (filter.state === undefined ? (await broker.leases({ ...question(), live: undefined, order: undefined, state: 'stuck', limit: 500 })).items : []);

  async function load(limit: number): Promise<void> {
    const mine = asked;
    const first = cursor === null;
    isLoading.value = true;
    try {
      const [page, stuck] = await Promise.all([broker.leases({ ...question(), limit, cursor: cursor ?? undefined }), first ? stuckOnes() : []]);
      if (mine !== asked) return;
      cursor = page.next_cursor;
      const last = page.items.at(-1);
      horizonMs = cursor === null || last === undefined ? Infinity : Date.parse(last.expires_at);
      putAll([...page.items, ...stuck]);
      hasMore.value = cursor !== null;
      total.value = page.total ?? (cursor === null ? rows.length : total.peek());
      problem.value = '';
      changed();
    } catch (error) {
      if (mine !== asked) return;
      problem.value = saidOf(error);
      onError(error);
    } finally {
      if (mine === asked) isLoading.value = false;
    }
  }

  async function askUnclear(): Promise<void> {
    if (asking) return;
    asking = true;
    try {
      while (unclear.size > 0) {
        const some = [...unclear].slice(0, AT_ONCE);
        for (const id of some) unclear.delete(id);
        const mine = asked;
        const answers = await Promise.all(some.map((id) => broker.lease(id).catch(() => null)));
        if (mine !== asked) return;
        for (const lease of answers) if (lease !== null && !ended.has(lease.id) && !isFinal(lease.state) && byId.has(lease.id)) put(lease);
        changed();
      }
    } finally {
      asking = false;
    }
  }

  /** Whether anything on the page has changed. */
  function applyOne(change: LeaseChange): boolean {
    if (change.is === 'ended') {
      remember(ended, change.id);
      const was = filter.state === undefined || !isFinal(filter.state as Lease['state']) ? take(change.id) : false;
      if (was) adjust(-1);
      return was;
    }
    const there = byId.get(change.id);
    if (change.is === 'unclear') {
      if (there !== undefined && unclear.size < MOST_UNCLEAR) unclear.add(change.id);
      return false;
    }
    if (there !== undefined) {
      const lease = { ...there.lease, ...change.fields };
      if (fits(lease)) put(lease);
      else if (take(change.id)) adjust(-1);
      return true;
    }
    const { whole } = change;
    if (whole === null || ended.has(whole.id) || !fits(whole) || filter.state === 'overdue' || !Object.keys(filter).every((name) => TOLD.has(name))) return false;
    adjust(1);
    if (Date.parse(whole.expires_at) > horizonMs && whole.state !== 'stuck') return false;
    put(whole);
    return true;
  }

  return {
    rows: () => rows,
    version,
    total,
    isLoading,
    hasMore,
    problem,
    get: (id) => byId.get(id)?.lease,
    async show(wanted) {
      asked += 1;
      filter = wanted;
      rows = [];
      byId.clear();
      unclear.clear();
      cursor = null;
      horizonMs = Infinity;
      total.value = null;
      hasMore.value = false;
      changed();
      await load(FIRST_PAGE);
    },
    more: async () => {
      if (hasMore.peek() && !isLoading.peek()) await load(PAGE);
    },
    apply(changes) {
      let any = false;
      for (const change of changes) any = applyOne(change) || any;
      if (any) changed();
      void askUnclear();
    },
    async check() {
      const mine = asked;
      const before = version.peek();
      const [page, stuck] = await Promise.all([broker.leases({ ...question(), limit: FIRST_PAGE }), stuckOnes()]);
      if (mine !== asked) return;
      const there = new Set([...page.items, ...stuck].map(({ id }) => id));
      const last = page.items.at(-1);
      const untilMs = page.next_cursor === null || last === undefined ? Infinity : Date.parse(last.expires_at);
      // What began while the question was on its way is not in the answer.
      if (before === version.peek()) for (const { lease } of [...rows]) if (!there.has(lease.id) && Date.parse(lease.expires_at) < untilMs) take(lease.id);
      putAll([...page.items, ...stuck]);
      total.value = page.total ?? (page.next_cursor === null ? rows.length : total.peek());
      problem.value = '';
      changed();
    },
    stop: () => void (asked += 1),
  };
}

function remember(set: Set<string>, id: string): void {
  set.add(id);
  if (set.size > MOST_ENDED) for (const oldest of set) return void set.delete(oldest);
}
