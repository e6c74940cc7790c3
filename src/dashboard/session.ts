// Everything that belongs to one sign-in: who it is, what is kept fresh for them, and the stream that says what changes.
import { computed, signal, type ReadonlySignal } from '@preact/signals';
import type { Agent, Approval, Caller, Hold, Lock, Overview, Page, SignInSession, Webhook } from './answers.ts';
import { Refused, type Broker } from './broker.ts';
import { leaseChanges, type FeedEvent } from './feed-event.ts';
import { createLeaseList, type LeaseList } from './lease-list.ts';
import { forgetPlace, startLiveFeed, type Connection } from './live-feed.ts';
import { createResource, type Resource } from './resource.ts';
import type { ServerClock } from './server-clock.ts';

export interface Session {
  readonly broker: Broker;
  readonly caller: ReadonlySignal<Caller>;
  /** Of a sign-in with the identity provider; null with a pasted token. */
  readonly signIn: ReadonlySignal<SignInSession | null>;
  readonly mayAct: ReadonlySignal<boolean>;
  readonly overview: Resource<Overview>;
  readonly approvals: Resource<Page<Approval>>;
  readonly locks: Resource<readonly Lock[]>;
  readonly agents: Resource<readonly Agent[]>;
  readonly hold: Resource<Hold | null>;
  readonly webhooks: Resource<readonly Webhook[]>;
  readonly leases: LeaseList;
  /** What has happened since the page was opened, newest first. */
  readonly recent: ReadonlySignal<readonly FeedEvent[]>;
  /** Goes up when something was refused. */
  readonly denials: ReadonlySignal<number>;
  /** Goes up with every event of a task that is looked at. */
  readonly happenedTo: (task: string) => number;
  readonly connection: ReadonlySignal<Connection>;
  /** What could not be asked; empty when all could. */
  readonly problem: ReadonlySignal<string>;
  /** Asks who we are again: for the clock, and to stay signed in. */
  checkIn(): Promise<void>;
  stop(): void;
}

export interface SessionOptions {
  readonly broker: Broker;
  readonly caller: Caller;
  readonly signIn: SignInSession | null;
  readonly clock: ServerClock;
  readonly onRefused: (why: string) => void;
}

const RECENT = 40;
/** Ids of tasks with news; nobody looks at more pages of tasks than these. */
const MOST_NEWS = 1_000;
const CHECK_IN_MS = 60_000;
const CHECK_LEASES_MS = 30_000;
/** Of which the overview counts something. */
const COUNTED = /^(task|lease|credential|lock|grant|hold|extension)\./;
const DENIED = /(denied|refused)$|^grant\.locked$/;
export const isDenial = (type: string): boolean => DENIED.test(type);

export function startSession({ broker, clock, onRefused, ...who }: SessionOptions): Session {
  const caller = signal(who.caller);
  const signIn = signal(who.signIn);
  const recent = signal<readonly FeedEvent[]>([]);
  const denials = signal(0);
  const news = new Map<string, ReturnType<typeof signal<number>>>();
  const lost = signal(false);

  const onError = (error: unknown): void => {
    if (error instanceof Refused && error.status === 401) onRefused(error.message);
    lost.value = !(error instanceof Refused);
  };
  const kept = <T>(load: () => Promise<T>, soonestMs: number, latestMs: number): Resource<T> => {
    const loaded = async (): Promise<T> => {
      const answer = await load();
      lost.value = false;
      return answer;
    };
    return createResource({ load: loaded, soonestMs, latestMs, onError });
  };

  const overview = kept(() => broker.overview(), 1_500, 10_000);
  const approvals = kept(() => broker.waiting(), 300, 30_000);
  const locks = kept(() => broker.locks(), 500, 60_000);
  // The register changes seldom, and its events say when; a review becomes overdue by the calendar alone.
  const agents = kept(() => broker.agents(), 1_000, 300_000);
  const hold = kept(() => broker.hold(), 1_000, 60_000);
  // Deliveries are no events: how they go is asked for while somebody looks.
  const webhooks = kept(() => broker.webhooks(), 1_000, 5_000);
  const resources = [overview, approvals, locks, agents, hold, webhooks];
  const leases = createLeaseList(broker, clock.now, onError);

  async function checkIn(): Promise<void> {
    try {
      const answer = await broker.whoami();
      caller.value = answer.caller;
      signIn.value = answer.session ?? null;
      clock.set(answer.clockOffsetMs);
      lost.value = false;
    } catch (error) {
      onError(error);
    }
  }

  function take(events: readonly FeedEvent[]): void {
    recent.value = [...events.toReversed(), ...recent.peek()].slice(0, RECENT);
    leases.apply(events.flatMap(leaseChanges));
    for (const { type, task, facts } of events) {
      if (COUNTED.test(type)) overview.expire();
      if (changesWaiting(type, facts)) approvals.expire();
      if (type.startsWith('lock.')) locks.expire();
      if (type.startsWith('agent.')) agents.expire();
      if (type.startsWith('hold.')) hold.expire();
      if (type.startsWith('webhook.')) webhooks.expire();
      if (DENIED.test(type)) denials.value += 1;
      const told = task === null ? undefined : news.get(task);
      if (told !== undefined) told.value = (told.peek() ?? 0) + 1;
    }
  }

  function lookAtAll(): void {
    for (const resource of resources) resource.expire();
    void leases.check().catch(onError);
    denials.value += 1;
    for (const told of news.values()) told.value = (told.peek() ?? 0) + 1;
  }

  const unuse = [overview.use(), approvals.use(), hold.use(), agents.use(), locks.use()];
  const feed = startLiveFeed({
    headers: broker.headers,
    onEvents: take,
    onGap: lookAtAll,
    onPaused(paused) {
      clock.pause(paused);
      for (const resource of resources) resource.pause(paused);
      if (!paused) void checkIn().then(lookAtAll);
    },
    onRefused,
  });
  const isShown = (): boolean => document.visibilityState !== 'hidden';
  const timers = [
    setInterval(() => isShown() && void checkIn(), CHECK_IN_MS),
    setInterval(() => isShown() && void leases.check().catch(onError), CHECK_LEASES_MS),
  ];

  return {
    broker,
    caller,
    signIn,
    mayAct: computed(() => caller.value.role === 'operator' || caller.value.role === 'admin'),
    overview,
    approvals,
    locks,
    agents,
    hold,
    webhooks,
    leases,
    recent,
    denials,
    happenedTo(task) {
      let told = news.get(task);
      if (told === undefined) {
        if (news.size >= MOST_NEWS) news.clear();
        news.set(task, (told = signal(0)));
      }
      return told.value ?? 0;
    },
    connection: feed.connection,
    problem: computed(() => (lost.value ? 'The broker cannot be reached; what is shown may be old.' : overview.problem.value === '' ? '' : `The broker does not say what there is: ${overview.problem.value}`)),
    checkIn,
    stop() {
      feed.stop();
      leases.stop();
      for (const timer of timers) clearInterval(timer);
      for (const done of unuse) done();
      for (const resource of resources) resource.stop();
      forgetPlace();
    },
  };
}

/** Whether something has begun or ceased to wait for a human, or was approved by one of several. */
const changesWaiting = (type: string, facts: FeedEvent['facts']): boolean =>
  type === 'task.declared' ? facts['state'] === 'pending_approval' : ['task.ended', 'task.approved', 'task.approval_denied', 'resync'].includes(type);
