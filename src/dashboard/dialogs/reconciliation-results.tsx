// What a comparison of targets and records found, provider by provider.
import type { Reconciliation } from '../answers.ts';
import { Foreign } from '../parts/foreign.tsx';
import { ScrollTable } from '../parts/scroll-table.tsx';
import { count } from '../words.ts';

const OUTCOME: Readonly<Record<Reconciliation['providers'][number]['outcome'], string>> = {
  compared: 'yes',
  cannot_list: 'tells nobody what is live',
  failed: 'broke off; tried again at the next round',
};

export const ReconciliationResults = ({ of: { providers, dry_run: isDryRun } }: { readonly of: Reconciliation }) => (
  <div class="results" data-done="true">
    <ScrollTable class="cards" label="Each provider">
      <thead>
        <tr>
          <th scope="col">Provider</th>
          <th scope="col">Compared</th>
          <th scope="col" class="number">Live</th>
          <th scope="col" class="number">In no record</th>
          <th scope="col" class="number">Undone</th>
          <th scope="col" class="number">Missing</th>
          {!isDryRun && (
            <th scope="col" class="number">
              Revoked
            </th>
          )}
        </tr>
      </thead>
      <tbody>
        {providers.map(({ provider, outcome, live, orphans, waiting, undone, missing, revoked }) => (
          <tr key={provider} data-provider={provider}>
            <th scope="row">
              <Foreign text={provider} />
            </th>
            <td data-label="Compared">
              <span>{OUTCOME[outcome]}</span>
            </td>
            {(
              [
                ['Live', live],
                ['In no record', orphans + waiting],
                ['Undone', undone],
                ['Missing', missing],
                ...(isDryRun ? [] : ([['Revoked', revoked]] as const)),
              ] as const
            ).map(([label, number]) => (
              <td class="number" key={label} data-label={label}>
                <span>{outcome === 'compared' ? count(number) : '–'}</span>
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </ScrollTable>
    <p class="small">In no record: live at the target, and the ledger does not know it. Undone: revoked, and somebody let it in again. Missing: on record as live, and not at the target.</p>
  </div>
);
