// What has happened since the page was opened, newest first.
import { useSession } from '../dashboard.ts';
import { eventAbout, eventName, isAlarming } from '../parts/event-words.ts';
import { Foreign } from '../parts/foreign.tsx';
import { hashOf } from '../place.ts';
import { clockTime } from '../words.ts';

export function RecentEvents() {
  const { value: events } = useSession().recent;
  return (
    <section class="card wide" aria-labelledby="events-title">
      <h3 id="events-title">Just now</h3>
      {events.length === 0 ? (
        <p class="small">Nothing has happened since this page was opened.</p>
      ) : (
        <ol class="events" tabIndex={0} aria-labelledby="events-title">
          {events.map((event, index) => (
            <li key={event.type === 'resync' ? `gap-${index}` : event.id} data-type={event.type} data-alarming={isAlarming(event.type)}>
              {event.at !== '' && <time dateTime={event.at}>{clockTime(Date.parse(event.at))}</time>}
              <strong>{eventName(event.type, event.facts)}</strong>
              {event.task === null ? (
                <Foreign text={eventAbout(event)} />
              ) : (
                <a href={hashOf('tasks', event.task)}>
                  <Foreign text={eventAbout(event)} />
                </a>
              )}
            </li>
          ))}
        </ol>
      )}
    </section>
  );
}
