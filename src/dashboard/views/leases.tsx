// Live leases: soonest due first, filtered by what stands in the address, and what an operator can do about them.
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { Lease } from '../answers.ts';
import { saidOf, type Selector } from '../broker.ts';
import { useDashboard, useSession } from '../dashboard.ts';
import { FILTERS, type LeaseFilter } from '../lease-list.ts';
import { count, counted, readable } from '../words.ts';
import { EmptyLeases } from './empty-leases.tsx';
import { LeaseFilters } from './lease-filters.tsx';
import { LeaseTable } from './lease-table.tsx';

export function LeasesView() {
  const { router, dialog, said } = useDashboard();
  const { leases: list, broker, mayAct } = useSession();
  const selected = useSignal<ReadonlySet<string>>(new Set());
  const filter = filterOf(router.place.value.query);
  const key = JSON.stringify(filter);
  const anyFilter = Object.keys(filter).length > 0;

  useEffect(() => {
    selected.value = new Set();
    void list.show(filter);
  }, [key]);

  // What has ended cannot be selected any more.
  const version = list.version.value;
  useEffect(() => {
    const left = [...selected.peek()].filter((id) => list.get(id) !== undefined);
    if (left.length !== selected.peek().size) selected.value = new Set(left);
  }, [version]);

  const revoke = (leases: readonly Lease[]): void => {
    const [lease] = leases;
    if (lease === undefined) return;
    dialog.value = { is: 'revoke', target: leases.length === 1 ? { of: 'lease', lease } : { of: 'leases', leases } };
  };
  const retry = async (lease: Lease): Promise<void> => {
    try {
      await broker.retry(lease.id);
      said.value = readable(`${lease.credential} of ${lease.agent} is being tried again.`);
    } catch (error) {
      said.value = saidOf(error);
    }
  };
  const selector = selectorOf(filter);
  const total = list.total.value;
  const rows = list.rows();
  const problem = list.problem.value;
  const isEmpty = problem === '' && rows.length === 0 && !list.isLoading.value && total !== null;

  return (
    <section aria-labelledby="leases-title" class="leases-view">
      <div class="view-head">
        <h2 id="leases-title">
          Live leases <span class="faint">{total === null ? (list.hasMore.value ? `more than ${count(rows.length)}` : '') : count(Math.max(total, rows.length))}</span>
        </h2>
        {mayAct.value && (
          <div class="together">
            {selected.value.size > 0 && (
              <>
                <button type="button" class="quiet" onClick={() => (selected.value = new Set())}>
                  Select none
                </button>
                <button type="button" class="danger" onClick={() => revoke([...selected.value].flatMap((id) => list.get(id) ?? []))}>
                  Revoke {counted(selected.value.size, 'selected')}
                </button>
              </>
            )}
            {selected.value.size === 0 && anyFilter && selector !== null && rows.length > 0 && (
              <button type="button" class="revoke" onClick={() => (dialog.value = { is: 'revoke', target: { of: 'selector', selector, words: wordsOf(filter) } })}>
                Revoke all that match…
              </button>
            )}
          </div>
        )}
      </div>
      <LeaseFilters filter={filter} />
      {!mayAct.value && <p class="small note">You may look. To revoke takes the role operator.</p>}
      {problem !== '' && (
        <p class="problem" role="alert">
          {problem}
        </p>
      )}
      {isEmpty ? <EmptyLeases isFiltered={anyFilter} /> : problem !== '' && rows.length === 0 ? null : <LeaseTable list={list} selected={selected} onRevoke={revoke} onRetry={(lease) => void retry(lease)} />}
    </section>
  );
}

function filterOf(query: URLSearchParams): LeaseFilter {
  return Object.fromEntries(FILTERS.flatMap((name) => (query.get(name) ? [[name, query.get(name)]] : [])));
}

/** The filter as a revocation takes it; null where it cannot say the same. */
function selectorOf({ agent, purpose, credential, provider, task, tree, ...others }: LeaseFilter): Selector | null {
  if (Object.keys(others).length > 0) return null;
  const words = { agent, purpose, credential, provider, task, subtree: tree };
  return Object.fromEntries(Object.entries(words).flatMap(([word, value]) => (value === undefined ? [] : [[word, value]])));
}

const wordsOf = (filter: LeaseFilter): string => `all live leases of ${Object.entries(filter).map(([name, value]) => `${name} ${value}`).join(', ')}`;
