// How late revocations were, and how much of what was promised is left.
import type { Overview } from '../answers.ts';
import { Icon } from '../parts/icon.tsx';
import { ScrollTable } from '../parts/scroll-table.tsx';
import { budget, count, seconds } from '../words.ts';

export function LatenessPanel({ lateness: { objective, hour, day, window } }: { readonly lateness: Overview['lateness'] }) {
  const left = window.budget_remaining;
  const share = left === null ? null : Math.round(left * 1000) / 10;
  const tone = left === null || left > 0.25 ? 'good' : left > 0 ? 'warn' : 'bad';
  return (
    <section class="card" aria-labelledby="lateness-title">
      <h3 id="lateness-title">How late credentials die</h3>
      <ScrollTable labelledBy="lateness-title">
        <thead>
          <tr>
            <th scope="col">Last</th>
            <th scope="col" class="number">revoked</th>
            <th scope="col" class="number">p50</th>
            <th scope="col" class="number">p99</th>
            <th scope="col" class="number">worst</th>
          </tr>
        </thead>
        <tbody>
          {([['hour', hour], ['day', day]] as const).map(([name, of]) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              <td class="number">{count(of.count)}</td>
              <td class="number">{seconds(of.p50_seconds)}</td>
              <td class="number">{seconds(of.p99_seconds)}</td>
              <td class="number">{seconds(of.max_seconds)}</td>
            </tr>
          ))}
        </tbody>
      </ScrollTable>
      <p class="budget" data-tone={tone}>
        <Icon name={tone === 'good' ? 'check' : 'alert'} />
        <span>
          {left === null ? 'Nothing was revoked yet' : <strong>{budget(left)}</strong>}
          <span class="small">
            {objective.ratio * 100} % within {objective.seconds} s over {objective.days} days: {count(window.late)} of {count(window.count)} were late
          </span>
        </span>
      </p>
      {share !== null && <meter min={0} max={100} low={1} high={25} optimum={100} value={Math.max(0, share)} aria-label="Error budget left, per cent" />}
    </section>
  );
}
