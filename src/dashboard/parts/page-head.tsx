// The head of the page: where one is, whether it is live, who one is.
import { useContext } from 'preact/hooks';
import icon from '../icon.svg';
import { SessionContext, useDashboard } from '../dashboard.ts';
import { THEMES, type Theme } from '../preferences.ts';
import { hashOf, type ViewName } from '../place.ts';
import type { Session } from '../session.ts';
import { clockTime, count } from '../words.ts';
import { Foreign } from './foreign.tsx';

const VIEWS: readonly (readonly [ViewName, string])[] = [
  ['overview', 'Overview'],
  ['leases', 'Leases'],
  ['approvals', 'Approvals'],
  ['locks', 'Locks'],
  ['agents', 'Agents'],
  ['denials', 'Denials'],
  ['audit', 'Audit'],
];

export function PageHead() {
  const session = useContext(SessionContext);
  return (
    <header class="page-head">
      <div class="bar">
        <h1>
          <img src={icon} alt="" width="24" height="24" /> Mayfly
        </h1>
        <Connection session={session} />
        {session !== null && <ServerTime />}
        <div class="who-and-how">
          {session !== null && <Who session={session} />}
          <ThemeSwitch />
          {session !== null && <SignOut />}
        </div>
      </div>
      {session !== null && <Views session={session} />}
    </header>
  );
}

function Views({ session }: { readonly session: Session }) {
  const { router } = useDashboard();
  const { view } = router.place.value;
  const waiting = session.approvals.value.value?.items.length ?? 0;
  const locks = session.locks.value.value?.length ?? 0;
  const badges: Partial<Record<ViewName, number>> = { approvals: waiting, locks };
  return (
    <nav aria-label="Views">
      <ul>
        {VIEWS.map(([name, title]) => (
          <li key={name}>
            <a href={hashOf(name)} aria-current={view === name || (view === 'tasks' && name === 'leases') ? 'page' : undefined}>
              {title}
              {(badges[name] ?? 0) > 0 && <span class="badge">{count(badges[name] ?? 0)}</span>}
            </a>
          </li>
        ))}
      </ul>
    </nav>
  );
}

function Connection({ session }: { readonly session: Session | null }) {
  const [state, text] = session === null ? (['off', 'Signed out'] as const) : said(session);
  return (
    <p class="connection" role="status" data-state={state}>
      <span class="lamp" aria-hidden="true" />
      {text}
    </p>
  );
}

function said(session: Session): readonly ['on' | 'waiting' | 'paused', string] {
  const { value } = session.connection;
  switch (value.is) {
    case 'live':
      return ['on', 'Live'];
    case 'paused':
      return ['paused', 'Paused'];
    case 'connecting':
      return ['waiting', 'Connecting'];
    case 'waiting':
      return ['waiting', 'Cut off; trying again'];
  }
}

function ServerTime() {
  const { clock } = useDashboard();
  return (
    <time class="server-time" title="The broker’s clock: all countdowns go by it">
      {clockTime(clock.tick.value)}
    </time>
  );
}

function Who({ session }: { readonly session: Session }) {
  const { subject, role, issuer } = session.caller.value;
  return (
    <p class="who" title={`by ${issuer}`}>
      <Foreign text={subject} /> <span class="role">{role}</span>
    </p>
  );
}

const THEME_WORDS: Readonly<Record<Theme, string>> = { system: 'As the system', light: 'Light', dark: 'Dark' };

function ThemeSwitch() {
  const { theme } = useDashboard().preferences;
  return (
    <label class="theme">
      <span class="unseen">Colours</span>
      <select value={theme.value} onChange={(event) => (theme.value = event.currentTarget.value as Theme)}>
        {THEMES.map((one) => (
          <option key={one} value={one}>
            {THEME_WORDS[one]}
          </option>
        ))}
      </select>
    </label>
  );
}

function SignOut() {
  const { signOut, dialog } = useDashboard();
  return (
    <>
      <button type="button" class="quiet" onClick={() => (dialog.value = { is: 'help' })} aria-keyshortcuts="?">
        Keys
      </button>
      <button type="button" class="quiet" onClick={() => signOut('Signed out.')}>
        Sign out
      </button>
    </>
  );
}
