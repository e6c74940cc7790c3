// One look: whether every credential that should be dead is dead, what falls due, and what needs somebody.
import { useSession } from '../dashboard.ts';
import type { Overview as Answer } from '../answers.ts';
import { Timeline } from '../parts/timeline.tsx';
import { hashOf } from '../place.ts';
import { count } from '../words.ts';
import { DependencyPanel } from './overview-dependencies.tsx';
import { LatenessPanel } from './overview-lateness.tsx';
import { WebhookPanel } from './overview-webhooks.tsx';
import { RecentEvents } from './recent-events.tsx';
import { Verdict } from './verdict.tsx';

export function Overview() {
  const overview = useSession().overview.value.value;
  if (overview === null) return <p class="small" role="status">Asking the broker…</p>;
  return (
    <>
      <h2 class="unseen">Overview</h2>
      <Verdict overview={overview} />
      <Numbers overview={overview} />
      <div class="panels">
        <section class="card wide" aria-labelledby="timeline-title">
          <h3 id="timeline-title">Falls due in the next hour</h3>
          <Timeline timeline={overview.timeline} overdue={overview.leases.overdue} />
        </section>
        <LatenessPanel lateness={overview.lateness} />
        <DependencyPanel overview={overview} />
        <WebhookPanel />
        <RecentEvents />
      </div>
    </>
  );
}

const WITHIN: Readonly<Record<number, string>> = { 60: '1 min', 300: '5 min', 900: '15 min', 3_600: '1 hour' };

function Numbers({ overview }: { readonly overview: Answer }) {
  const { leases, tasks, denials, locks } = overview;
  const numbers: readonly (readonly [string, number, string | null])[] = [
    ['live', leases.active, hashOf('leases')],
    ...leases.expiring.map(({ within_seconds: within, count: due }) => [`due in ${WITHIN[within] ?? `${within} s`}`, due, null] as const),
    ['waiting for approval', tasks.pending_approval, hashOf('approvals')],
    ['refused in the last hour', denials.hour, hashOf('denials')],
    ['locks', locks, hashOf('locks')],
  ];
  return (
    <dl class="numbers">
      {numbers.map(([what, number, href]) => (
        <div key={what} data-number={what}>
          <dt>{what}</dt>
          <dd>{href === null ? count(number) : <a href={href}>{count(number)}</a>}</dd>
        </div>
      ))}
    </dl>
  );
}
