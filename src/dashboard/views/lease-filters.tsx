// The filters of the list of leases. They are the address: what is chosen here can be sent to a colleague.
import { useEffect, useRef } from 'preact/hooks';
import { useDashboard, useSession } from '../dashboard.ts';
import type { LeaseFilter } from '../lease-list.ts';
import { useRowHeight } from '../parts/use-row-height.ts';

const STATES = [
  ['', 'any live'],
  ['overdue', 'overdue'],
  ['stuck', 'stuck'],
  ['active', 'active'],
  ['revoking', 'being revoked'],
  ['intended', 'being minted'],
  ['disclosed', 'disclosed'],
] as const;

const TEXTS = [
  ['agent', 'Agent'],
  ['owner', 'Owner'],
  ['purpose', 'Purpose'],
  ['credential', 'Credential'],
  ['task', 'Task'],
  ['tree', 'Tree of task'],
  ['trace_id', 'Trace id'],
] as const;

/** Whoever types is answered once they pause. */
const PAUSE_MS = 350;

export function LeaseFilters({ filter }: { readonly filter: LeaseFilter }) {
  const { router } = useDashboard();
  const { overview } = useSession();
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const change = (name: keyof LeaseFilter, value: string): void => router.filter({ ...filter, [name]: value.trim() });
  useEffect(() => () => clearTimeout(timer.current), []);
  const providers = overview.value.value?.providers ?? [];
  const { isCard } = useRowHeight();
  const given = Object.keys(filter).length;
  const form = (
    <form class="filters" role="search" aria-label="Filter leases" autocomplete="off" onSubmit={(event) => event.preventDefault()}>
      {TEXTS.map(([name, label], index) => (
        <div class="field" key={name}>
          <label for={`filter-${name}`}>{label}</label>
          <input
            id={`filter-${name}`}
            type="search"
            spellcheck={false}
            autocapitalize="off"
            data-first-filter={index === 0 ? '' : undefined}
            value={filter[name] ?? ''}
            onInput={(event) => {
              const { value } = event.currentTarget;
              clearTimeout(timer.current);
              timer.current = setTimeout(() => change(name, value), PAUSE_MS);
            }}
          />
        </div>
      ))}
      <div class="field">
        <label for="filter-provider">Provider</label>
        <select id="filter-provider" value={filter.provider ?? ''} onChange={(event) => change('provider', event.currentTarget.value)}>
          <option value="">any</option>
          {[...new Set([...providers.map(({ name }) => name), ...(filter.provider === undefined ? [] : [filter.provider])])].map((name) => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
        </select>
      </div>
      <div class="field">
        <label for="filter-state">State</label>
        <select id="filter-state" value={filter.state ?? ''} onChange={(event) => change('state', event.currentTarget.value)}>
          {STATES.map(([state, words]) => (
            <option key={state} value={state}>
              {words}
            </option>
          ))}
        </select>
      </div>
      {given > 0 && (
        <button type="button" class="quiet" onClick={() => router.filter({})}>
          Clear
        </button>
      )}
    </form>
  );
  // Where there is little room, what is looked for comes before what it is looked for with.
  return isCard ? (
    <details>
      <summary>Filters{given > 0 ? ` (${given})` : ''}</summary>
      {form}
    </details>
  ) : (
    form
  );
}
