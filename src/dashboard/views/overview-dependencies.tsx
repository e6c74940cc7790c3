// What credentials live and die by: providers, and the queue of revocations of each.
import type { Overview } from '../answers.ts';
import { useDashboard, useSession } from '../dashboard.ts';
import { Foreign } from '../parts/foreign.tsx';
import { Icon } from '../parts/icon.tsx';
import { ScrollTable } from '../parts/scroll-table.tsx';
import { hashOf } from '../place.ts';
import { count } from '../words.ts';

export function DependencyPanel({ overview: { providers, queues, tasks } }: { readonly overview: Overview }) {
  const { dialog } = useDashboard();
  const { mayAct } = useSession();
  return (
    <section class="card" aria-labelledby="providers-title">
      <div class="card-head">
        <h3 id="providers-title">Providers and their queues</h3>
        {mayAct.value && (
          <button type="button" class="quiet" onClick={() => (dialog.value = { is: 'reconcile', act: 'compare' })}>
            Compare with the targets…
          </button>
        )}
      </div>
      <ScrollTable labelledBy="providers-title">
        <thead>
          <tr>
            <th scope="col">Provider</th>
            <th scope="col">Answers</th>
            <th scope="col" class="number">waiting</th>
            <th scope="col" class="number">at work</th>
            <th scope="col" class="number">later</th>
            <th scope="col" class="number">failed</th>
          </tr>
        </thead>
        <tbody>
          {providers.map(({ name, type, up }) => {
            const queue = queues.find(({ provider }) => provider === name);
            return (
              <tr key={name} data-provider={name} data-up={up}>
                <th scope="row">
                  <a href={hashOf('leases', null, { provider: name })}>
                    <Foreign text={name} />
                  </a>{' '}
                  <span class="small">{type}</span>
                </th>
                <td>
                  <span class="state" data-tone={up ? 'good' : 'bad'}>
                    <Icon name={up ? 'check' : 'alert'} />
                    {up ? 'yes' : 'no'}
                  </span>
                </td>
                <td class="number">{queue === undefined ? '–' : count(queue.waiting)}</td>
                <td class="number">{queue === undefined ? '–' : count(queue.active)}</td>
                <td class="number">{queue === undefined ? '–' : count(queue.delayed)}</td>
                <td class="number">{queue === undefined ? '–' : count(queue.failed)}</td>
              </tr>
            );
          })}
        </tbody>
      </ScrollTable>
      <h4>Tasks</h4>
      <dl class="numbers small-numbers">
        {(
          [
            ['to approve', tasks.pending_approval],
            ['to claim', tasks.pending_claim],
            ['minting', tasks.minting],
            ['active', tasks.active],
            ['ending', tasks.ending],
          ] as const
        ).map(([what, number]) => (
          <div key={what}>
            <dt>{what}</dt>
            <dd>{count(number)}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}
