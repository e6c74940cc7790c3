// The answer to the one question, in words, large: is everything dead that should be?
import type { Overview } from '../answers.ts';
import { Icon } from '../parts/icon.tsx';
import { hashOf } from '../place.ts';
import { counted, duration, count } from '../words.ts';

export function Verdict({ overview: { leases, hold } }: { readonly overview: Overview }) {
  const { overdue, stuck, lapsing, disclosed, oldest_overdue_seconds: oldest } = leases;
  // The ledger lost records: that nothing in it is overdue says nothing of what is live.
  const isBad = overdue > 0 || stuck > 0 || hold;
  return (
    <section class="verdict" data-tone={isBad ? 'bad' : 'good'} aria-labelledby="verdict-title">
      <Icon name={isBad ? 'alert' : 'check'} />
      <div>
        <p id="verdict-title" class="verdict-title">
          {hold ? 'Not all that is live is known' : isBad ? 'Not everything that should be dead is dead' : 'Everything that should be dead is dead'}
        </p>
        <ul class="verdict-parts">
          <Part count={overdue} words="overdue" href={hashOf('leases', null, { state: 'overdue' })} more={overdue > 0 ? `the oldest for ${duration(oldest * 1000)}` : ''} />
          <Part count={stuck} words="stuck" href={hashOf('leases', null, { state: 'stuck' })} more={stuck > 0 ? 'refused, or past its budget' : ''} />
          {lapsing > 0 && <Part count={lapsing} words="left to lapse" href={hashOf('leases', null, { state: 'revoking' })} more={`only the target’s clock ends ${lapsing === 1 ? 'it' : 'them'}`} tone="quiet" />}
          {disclosed > 0 && <Part count={disclosed} words="disclosed" href={hashOf('leases', null, { state: 'disclosed' })} more={`only a rotation ends ${disclosed === 1 ? 'it' : 'them'}`} />}
        </ul>
      </div>
      <p class="unseen">
        {counted(leases.active, 'lease')} live, {count(overdue)} overdue, {count(stuck)} stuck.
      </p>
    </section>
  );
}

const Part = ({ count: number, words, href, more, tone = 'bad' }: { readonly count: number; readonly words: string; readonly href: string; readonly more: string; readonly tone?: 'bad' | 'quiet' }) => (
  <li data-part={words} data-some={number > 0 && tone === 'bad'}>
    <a href={href}>
      <strong>{count(number)}</strong> {words}
    </a>
    {more !== '' && <span class="small"> {more}</span>}
  </li>
);
