// What state a lease is in, and how long it has: in words and a picture, never in colour alone.
import type { Lease } from '../answers.ts';
import { useDashboard } from '../dashboard.ts';
import { deadlineOf, isFinal, urgencyOf } from '../lease-order.ts';
import { clockTime, duration } from '../words.ts';
import { Icon, type IconName } from './icon.tsx';

const STATES: Readonly<Record<Lease['state'], readonly [string, IconName, string]>> = {
  intended: ['being minted', 'ring', 'quiet'],
  active: ['active', 'dot', 'good'],
  revoking: ['being revoked', 'half', 'warn'],
  stuck: ['stuck', 'alert', 'bad'],
  revoked: ['revoked', 'check', 'good'],
  lapsed: ['lapsed', 'clock', 'quiet'],
  abandoned: ['never minted', 'cross', 'quiet'],
  disclosed: ['disclosed', 'alert', 'bad'],
};

export function LeaseState({ state }: { readonly state: Lease['state'] }) {
  const [words, icon, tone] = STATES[state];
  return (
    <span class="state" data-tone={tone}>
      <Icon name={icon} />
      {words}
    </span>
  );
}

const REVOCABILITY: Readonly<Record<Lease['revocability'], readonly [string, string]>> = {
  exact: ['at once', 'It can be ended now.'],
  eventual: ['in time', 'Ending it takes the target some time.'],
  none: ['only by expiry', 'Nothing but its own expiry ends it.'],
};

export const Revocability = ({ of }: { readonly of: Lease['revocability'] }) => <span title={REVOCABILITY[of][1]}>{REVOCABILITY[of][0]}</span>;
/** What an operator has to know before they revoke; empty where it simply dies. */
export const limitOf = (of: Lease['revocability']): string =>
  of === 'none' ? 'Its target knows no early end: it stays usable until it expires.' : of === 'eventual' ? 'Its target needs some time to end it.' : '';

/** How long a lease has, and what part of its life that is. Drawn again at each tick; nothing around it is. */
export function TimeLeft({ lease }: { readonly lease: Lease }) {
  const { clock } = useDashboard();
  if (isFinal(lease.state)) return <span class="left">–</span>;
  const deadlineMs = deadlineOf(lease);
  const leftMs = deadlineMs - clock.tick.value;
  const urgency = lease.state === 'intended' ? 'later' : urgencyOf(leftMs);
  const lifeMs = Math.max(1, Date.parse(lease.expires_at) - Date.parse(lease.activated_at ?? lease.created_at));
  const text = lease.state === 'intended' ? '–' : urgency === 'overdue' ? `overdue ${duration(-leftMs)}` : duration(Math.max(0, leftMs));
  return (
    <span class="left" data-urgency={urgency} title={`due at ${clockTime(deadlineMs)}`}>
      {urgency === 'overdue' && (
        <>
          <Icon name="alert" />{' '}
        </>
      )}
      <span class="left-text">{text}</span>
      <span class="life" aria-hidden="true">
        <span style={{ width: `${Math.round(100 * Math.min(1, Math.max(0, leftMs / lifeMs)))}%` }} />
      </span>
    </span>
  );
}

/** Time until an instant, or what to say once it is over. */
export function Until({ at, over, suffix = '' }: { readonly at: string; readonly over: string; readonly suffix?: string }) {
  const { clock } = useDashboard();
  const leftMs = Date.parse(at) - clock.tick.value;
  return (
    <time class="left" dateTime={at} title={`until ${clockTime(Date.parse(at))}`}>
      {leftMs > 0 ? `${duration(leftMs)}${suffix}` : over}
    </time>
  );
}
