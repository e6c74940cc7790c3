// The page: a head that is always there, one view, and at most one dialog.
import { useEffect, useRef } from 'preact/hooks';
import { SessionContext, useDashboard } from './dashboard.ts';
import { ApprovalDialog } from './dialogs/approval-dialog.tsx';
import { DisableAgentDialog } from './dialogs/disable-agent-dialog.tsx';
import { EnableAgentDialog, EnableWebhookDialog } from './dialogs/enable-dialogs.tsx';
import { HelpDialog } from './dialogs/help-dialog.tsx';
import { LiftLockDialog, LockDialog } from './dialogs/lock-dialog.tsx';
import { ReconcileDialog } from './dialogs/reconcile-dialog.tsx';
import { RenewDialog } from './dialogs/renew-dialog.tsx';
import { RevokeDialog } from './dialogs/revoke-dialog.tsx';
import { usePageKeys } from './keyboard.ts';
import { Announcer } from './parts/announcer.tsx';
import { Banners } from './parts/banners.tsx';
import { PageHead } from './parts/page-head.tsx';
import type { ViewName } from './place.ts';
import { AgentsView } from './views/agents.tsx';
import { ApprovalsView } from './views/approvals.tsx';
import { AuditView } from './views/audit.tsx';
import { DenialsView } from './views/denials.tsx';
import { LeasesView } from './views/leases.tsx';
import { LocksView } from './views/locks.tsx';
import { Overview } from './views/overview.tsx';
import { SignIn } from './views/sign-in.tsx';
import { TaskView } from './views/task.tsx';

const VIEW_OF: Readonly<Record<ViewName, () => preact.JSX.Element>> = {
  overview: Overview,
  leases: LeasesView,
  tasks: TaskView,
  approvals: ApprovalsView,
  locks: LocksView,
  agents: AgentsView,
  denials: DenialsView,
  audit: AuditView,
};

export function App() {
  const { signed } = useDashboard();
  usePageKeys();
  const { value } = signed;
  return (
    <>
      <a class="skip" href="#main" onClick={toMain}>
        Skip to content
      </a>
      <SessionContext.Provider value={value.is === 'in' ? value.session : null}>
        <PageHead />
        {value.is === 'in' ? (
          <>
            <Banners />
            <Main />
            <OpenDialogs />
            <Announcer />
          </>
        ) : (
          <main id="main" tabIndex={-1}>
            {value.is === 'out' && <SignIn why={value.why} canSignIn={value.canSignIn} />}
          </main>
        )}
      </SessionContext.Provider>
    </>
  );
}

/** The address names the view: a real jump would change it. */
function toMain(event: MouseEvent): void {
  event.preventDefault();
  document.querySelector<HTMLElement>('main')?.focus();
}

function Main() {
  const { router, said } = useDashboard();
  const { view, id } = router.place.value;
  const main = useRef<HTMLElement>(null);
  const isFirst = useRef(true);
  useEffect(() => {
    // Another view is another page to who hears it; the first one is not: nobody asked for it.
    if (!isFirst.current) main.current?.focus({ preventScroll: true });
    isFirst.current = false;
    window.scrollTo(0, 0);
    said.value = '';
  }, [view, id]);
  const View = VIEW_OF[view];
  return (
    <main id="main" ref={main} tabIndex={-1} data-view={view}>
      <p class="said" role="status">
        {said.value}
      </p>
      <View key={id} />
    </main>
  );
}

function OpenDialogs() {
  const { dialog } = useDashboard();
  const { value } = dialog;
  if (value === null) return null;
  const close = (): void => {
    if (dialog.peek() === value) dialog.value = null;
  };
  switch (value.is) {
    case 'revoke':
      return <RevokeDialog target={value.target} onClose={close} />;
    case 'approval':
      return <ApprovalDialog approval={value.approval} decision={value.decision} onClose={close} />;
    case 'lock':
      return <LockDialog word={value.word} value={value.value} onClose={close} />;
    case 'lift':
      return <LiftLockDialog lock={value.lock} onClose={close} />;
    case 'disable':
      return <DisableAgentDialog agent={value.agent} onClose={close} />;
    case 'enable-agent':
      return <EnableAgentDialog agent={value.agent} onClose={close} />;
    case 'enable-webhook':
      return <EnableWebhookDialog webhook={value.webhook} onClose={close} />;
    case 'reconcile':
      return <ReconcileDialog act={value.act} onClose={close} />;
    case 'renew':
      return <RenewDialog onClose={close} />;
    case 'help':
      return <HelpDialog onClose={close} />;
  }
}
