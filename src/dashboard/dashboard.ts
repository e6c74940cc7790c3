// What the whole page shares: who is signed in, where one is, the clock, and the dialog that is open.
import { signal, type ReadonlySignal, type Signal } from '@preact/signals';
import { createContext } from 'preact';
import { useContext } from 'preact/hooks';
import { connectBroker, Refused, saidOf } from './broker.ts';
import type { OpenDialog } from './dialogs/open-dialog.ts';
import { createPreferences, type Preferences } from './preferences.ts';
import { createRouter, type Router } from './route.ts';
import { createServerClock, type ServerClock } from './server-clock.ts';
import { startSession, type Session } from './session.ts';
import { tabStorage } from './tab-storage.ts';

const TOKEN = 'mayfly.token';
/** Where a reader was before they went to their identity provider: a hash goes to no server. */
const PLACE = 'mayfly.place';
const RETRY_MS = 3_000;

export type Signed =
  | { readonly is: 'starting' }
  | { readonly is: 'out'; readonly why: string; readonly canSignIn: boolean }
  | { readonly is: 'in'; readonly session: Session };

export interface Dashboard {
  readonly signed: ReadonlySignal<Signed>;
  readonly router: Router;
  readonly clock: ServerClock;
  readonly preferences: Preferences;
  readonly dialog: Signal<OpenDialog | null>;
  /** What was just done, for everybody to read or hear. */
  readonly said: Signal<string>;
  readonly signInWithToken: (token: string) => Promise<void>;
  readonly signInWithProvider: () => void;
  readonly signOut: (why: string) => void;
}

export function createDashboard(): Dashboard {
  const signed = signal<Signed>({ is: 'starting' });
  const clock = createServerClock();
  const router = createRouter();
  const dialog = signal<OpenDialog | null>(null);
  const said = signal('');
  let retry: ReturnType<typeof setTimeout> | undefined;
  let canSignIn = false;
  let hasCookie = false;

  function showOut(why: string): void {
    const { value } = signed;
    if (value.is === 'in') value.session.stop();
    dialog.value = null;
    said.value = '';
    signed.value = { is: 'out', why, canSignIn };
  }

  /** @param token null for the browser's cookie */
  async function enter(token: string | null): Promise<void> {
    clearTimeout(retry);
    const broker = connectBroker(token);
    try {
      const { caller, session: signIn, clockOffsetMs } = await broker.whoami();
      if (caller.kind !== 'operator') {
        tabStorage.set(TOKEN, null);
        showOut('That is a workload’s token. This page is for operators.');
        return;
      }
      clock.set(clockOffsetMs);
      hasCookie = token === null;
      if (token !== null) tabStorage.set(TOKEN, token);
      if (signed.value.is === 'in') signed.value.session.stop();
      signed.value = { is: 'in', session: startSession({ broker, caller, signIn: signIn ?? null, clock, onRefused: leave }) };
    } catch (error) {
      const isFinal = error instanceof Refused && error.status < 500;
      if (isFinal) tabStorage.set(TOKEN, null);
      else retry = setTimeout(() => void enter(token), RETRY_MS);
      // No cookie is no news.
      showOut(isFinal ? (token === null ? '' : error.message) : `${saidOf(error)} Trying again.`);
    }
  }

  function leave(why: string): void {
    tabStorage.set(TOKEN, null);
    showOut(why);
  }

  async function start(): Promise<void> {
    const place = tabStorage.get(PLACE);
    tabStorage.set(PLACE, null);
    if (place !== null && location.hash === '') router.go(place);
    const token = tabStorage.get(TOKEN);
    canSignIn = await connectBroker(null).canSignIn();
    if (token !== null || canSignIn) await enter(token);
    else showOut('');
  }

  void start();
  return {
    signed,
    router,
    clock,
    preferences: createPreferences(),
    dialog,
    said,
    signInWithToken: enter,
    signInWithProvider() {
      tabStorage.set(PLACE, location.hash === '' ? null : location.hash);
      location.assign('/auth/sign-in?return_to=/');
    },
    signOut(why) {
      const { value } = signed;
      if (value.is === 'in' && hasCookie) {
        void value.session.broker.signOut().then(
          (url) => url !== null && location.assign(url),
          // Whoever walks away must know that they are still signed in.
          () => showOut('The broker could not be told: the session ends by itself, and this browser still has it.'),
        );
      }
      leave(why);
    },
  };
}

export const DashboardContext = createContext<Dashboard | null>(null);

export function useDashboard(): Dashboard {
  const dashboard = useContext(DashboardContext);
  if (dashboard === null) throw new Error('outside of the dashboard');
  return dashboard;
}

export const SessionContext = createContext<Session | null>(null);

/** The session of whoever is signed in: for what is shown to them alone. */
export function useSession(): Session {
  const session = useContext(SessionContext);
  if (session === null) throw new Error('nobody is signed in');
  return session;
}
