// Says to who cannot see it what matters: what should be dead and is not, and what waits. Seldom, and only what is new.
import { useEffect, useState } from 'preact/hooks';
import { useSession } from '../dashboard.ts';
import { counted } from '../words.ts';

const SELDOM_MS = 10_000;

export function Announcer() {
  const session = useSession();
  const [said, say] = useState('');
  const leases = session.overview.value.value?.leases;
  const held = session.hold.value.value !== null;
  const waiting = session.approvals.value.value?.items.length ?? 0;
  const parts = [
    (leases?.overdue ?? 0) > 0 && `${counted(leases?.overdue ?? 0, 'lease')} overdue`,
    (leases?.stuck ?? 0) > 0 && `${counted(leases?.stuck ?? 0, 'lease')} stuck`,
    waiting > 0 && `${counted(waiting, 'task waits', 'tasks wait')} for approval`,
  ];
  const now = parts.filter((part) => part !== false).join(', ');

  useEffect(() => {
    if (now === said) return undefined;
    const timer = setTimeout(() => say(now), said === '' ? 0 : SELDOM_MS);
    return () => clearTimeout(timer);
  }, [now, said]);

  useEffect(() => {
    const alarm = held || (leases?.overdue ?? 0) + (leases?.stuck ?? 0) > 0 ? '(!) ' : '';
    document.title = `${alarm}${waiting > 0 ? `${waiting} waiting, ` : ''}${leases === undefined ? '' : `${leases.active} live · `}Mayfly`;
    return () => void (document.title = 'Mayfly');
  }, [leases, waiting, held]);

  return (
    <p class="unseen" role="status" data-announcer>
      {said}
    </p>
  );
}
