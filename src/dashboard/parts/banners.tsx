// What everybody has to know whatever they look at: the broker is not there, grants are held, the sign-in is about to end.
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
      {hold !== null && (
        <p class="banner" data-tone="bad" role="alert" data-banner="hold">
          <Icon name="pause" /> Nothing is granted: {HELD[hold.why]}, since {fullTime(hold.since)}. What is live is revoked as ever. It ends by itself at {fullTime(hold.until)}; an admin ends it sooner with{' '}
          <code>mayfly hold release</code>.
        </p>
      )}
      <SignInEnds />
    </>
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
