// What falls due in the next hour, minute by minute and by provider: a picture, and the same as a table.
import type { Overview } from '../answers.ts';
import { barsOf, LATE_MINUTE } from '../timeline-bars.ts';
import { count } from '../words.ts';
import { Foreign } from './foreign.tsx';

type Lines = Overview['timeline'];

/** As many colours as the style sheet has; later providers begin again. */
const COLOURS = 6;
const STEPS = [
  [0, 1, 'to 1 min'],
  [1, 5, 'to 5 min'],
  [5, 15, 'to 15 min'],
  [15, 30, 'to 30 min'],
  [30, 60, 'to 1 hour'],
] as const;

/** Where the scale of time has a mark. */
const MINUTES = [0, 15, 30, 45, 60] as const;

const sum = (numbers: readonly number[]): number => numbers.reduce((total, one) => total + one, 0);

export function Timeline({ timeline, overdue }: { readonly timeline: Lines; readonly overdue: number }) {
  const total = sum(timeline.map(({ per_minute: due }) => sum(due)));
  return (
    <figure class="timeline">
      <figcaption class="small">
        {count(total)} fall due; {overdue === 0 ? 'nothing is late' : <strong class="late">▲ {count(overdue)} late already</strong>}
      </figcaption>
      <Chart timeline={timeline} overdue={overdue} />
      <ul class="legend">
        {overdue > 0 && (
          <li>
            <span class="swatch" data-series="late" aria-hidden="true" />
            late
          </li>
        )}
        {timeline.map(({ provider }, index) => (
          <li key={provider}>
            <span class="swatch" data-series={index % COLOURS} aria-hidden="true" />
            <Foreign text={provider} />
          </li>
        ))}
      </ul>
      <details>
        <summary>As a table</summary>
        <TableTwin timeline={timeline} overdue={overdue} />
      </details>
    </figure>
  );
}

/** The table beside it says the same to who cannot see it. */
function Chart({ timeline, overdue }: { readonly timeline: Lines; readonly overdue: number }) {
  const { bars, top } = barsOf(timeline.map(({ per_minute: due }) => due), overdue);
  return (
    <div class="chart" aria-hidden="true">
      <div class="scale">
        {[top, top / 2, 0].map((value) => (
          <span key={value}>{count(value)}</span>
        ))}
      </div>
      <svg viewBox={`${LATE_MINUTE} 0 ${60 - LATE_MINUTE} ${top}`} preserveAspectRatio="none">
        {[0, top / 2, top].map((value) => (
          <line key={value} x1={LATE_MINUTE} x2={60} y1={value} y2={value} />
        ))}
        {MINUTES.map((minute) => (
          <line key={`at-${minute}`} x1={minute} x2={minute} y1={0} y2={top} />
        ))}
        {bars.map(({ minute, series, from, to }) => (
          <rect key={`${minute} ${series ?? 'late'}`} data-series={series === null ? 'late' : series % COLOURS} x={minute + 0.1} width={series === null ? 1.6 : 0.8} y={top - to} height={to - from} />
        ))}
      </svg>
      <div class="minutes">
        {MINUTES.map((minute) => (
          <span key={minute} style={{ left: `${(100 * (minute - LATE_MINUTE)) / (60 - LATE_MINUTE)}%` }}>
            {minute === 0 ? 'now' : `+${minute} min`}
          </span>
        ))}
      </div>
    </div>
  );
}

const TableTwin = ({ timeline, overdue }: { readonly timeline: Lines; readonly overdue: number }) => (
  <div class="scroll" tabIndex={0} role="region" aria-label="What falls due, as a table">
    <table>
      <thead>
        <tr>
          <th scope="col">Provider</th>
          {STEPS.map(([from, , words]) => (
            <th scope="col" class="number" key={from}>
              {words}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {timeline.map(({ provider, per_minute: due }) => (
          <tr key={provider}>
            <th scope="row">
              <Foreign text={provider} />
            </th>
            {STEPS.map(([from, to]) => (
              <td class="number" key={from}>
                {count(sum(due.slice(from, to)))}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
    <p class="small">Late already: {count(overdue)}</p>
  </div>
);
