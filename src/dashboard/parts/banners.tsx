// What everybody has to know whatever they look at: the broker is not there, grants are held, the sign-in is about to end.
import type { Hold } from '../answers.ts';
import { useDashboard, useSession } from '../dashboard.ts';
import { fullTime } from '../words.ts';
import { Icon } from './icon.tsx';
import { Until } from './lease-words.tsx';

/** Long enough to read it, find the button and press it (WCAG 2.2, 2.2.1: at least 20 s). */
const WARN_MS = 120_000;

const HELD: Readonly<Record<string, string>> = {
  wiped: 'the ledger lost its records',
  rolled_back: 'the ledger’s records are older than they were',
  replaced: 'it is another ledger',
};

export function Banners() {
  const session = useSession();
  const hold = session.hold.value.value;
  return (
    <>
      {session.problem.value !== '' && (
        <p class="banner" data-tone="bad" role="alert">
          <Icon name="alert" /> {session.problem.value}
        </p>
      )}
      {hold !== null && <Held hold={hold} />}
      <SignInEnds />
    </>
  );
}

function Held({ hold: { why, since, until } }: { readonly hold: Hold }) {
  const { dialog } = useDashboard();
  const isAdmin = useSession().caller.value.role === 'admin';
  return (
    <div class="banner" data-tone="bad" role="alert" data-banner="hold">
      <Icon name="pause" />
      <p>
        <strong>Hold: nothing is granted</strong> since {fullTime(since)}, because {HELD[why]}. Mayfly did so itself. What it still knows is revoked on time; what is live beyond that waits. It ends by itself at {fullTime(until)}
        {isAdmin ? '.' : '; an admin can end it sooner.'}
      </p>
      {isAdmin && (
        <button type="button" onClick={() => (dialog.value = { is: 'reconcile', act: 'release' })}>
          End the hold…
        </button>
      )}
    </div>
  );
}

function SignInEnds() {
  const { clock, dialog, signInWithProvider } = useDashboard();
  const session = useSession();
  const signIn = session.signIn.value;
  const endsAt = signIn === null ? session.caller.value.token_expires_at : Date.parse(signIn.idle_expires_at) < Date.parse(signIn.expires_at) ? signIn.idle_expires_at : signIn.expires_at;
  if (Date.parse(endsAt) - clock.tick.value > WARN_MS) return null;
  const isIdle = signIn !== null && endsAt === signIn.idle_expires_at;
  const stay = (): void => {
    if (isIdle) void session.checkIn();
    else if (signIn !== null) signInWithProvider();
    else dialog.value = { is: 'renew' };
  };
  return (
    <div class="banner" data-tone="warn" role="alert" data-banner="sign-in-ends">
      <Icon name="clock" />
      <span>
        You will be signed out in <Until at={endsAt} over="a moment" />.
      </span>
      <button type="button" onClick={stay}>
        {isIdle ? 'Stay signed in' : signIn === null ? 'Use a new token' : 'Sign in again'}
      </button>
    </div>
  );
}
