// What was refused lately, to whom, and why.
import { useDashboard, useSession } from '../dashboard.ts';
import { RecordList } from '../parts/record-list.tsx';
import { count } from '../words.ts';
import { useRecords } from './use-records.ts';

const TYPES = ['task.denied', 'credential.denied', 'extension.denied', 'delegation.refused', 'evidence.refused', 'task.claim_refused', 'task.approval_denied', 'task.approval_refused', 'grant.locked'];

export function DenialsView() {
  const { router } = useDashboard();
  const session = useSession();
  const agent = router.place.value.query.get('agent') ?? '';
  const { items, isLoading, problem, hasMore, more } = useRecords(TYPES.map((type) => ({ type, agent, limit: 50 })), 'newest', session.denials.value);
  const denials = session.overview.value.value?.denials;
  return (
    <section aria-labelledby="denials-title">
      <div class="view-head">
        <h2 id="denials-title">
          Denials {denials !== undefined && <span class="faint">{count(denials.hour)} in the last hour, {count(denials.day)} in the last day</span>}
        </h2>
      </div>
      <form class="filters one" role="search" aria-label="Filter denials" onSubmit={(event) => event.preventDefault()}>
        <div class="field">
          <label for="filter-denials">Agent</label>
          <input id="filter-denials" type="search" data-first-filter="" value={agent} onChange={(event) => router.filter({ agent: event.currentTarget.value.trim() })} />
        </div>
      </form>
      {problem !== '' && (
        <p class="problem" role="alert">
          {problem}
        </p>
      )}
      {!isLoading && problem === '' && items.length === 0 && <p class="card empty">Nothing was refused.</p>}
      <RecordList records={items} label="Denials, newest first" />
      {hasMore && (
        <button type="button" class="quiet" onClick={more} disabled={isLoading}>
          Earlier ones
        </button>
      )}
    </section>
  );
}
