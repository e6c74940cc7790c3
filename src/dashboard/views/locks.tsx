// What is locked, by whom, until when; and the switch itself.
import { useDashboard, useSession } from '../dashboard.ts';
import { selectorWords } from '../dialogs/lock-dialog.tsx';
import { Foreign } from '../parts/foreign.tsx';
import { Until } from '../parts/lease-words.tsx';
import { ScrollTable } from '../parts/scroll-table.tsx';
import { fullTime } from '../words.ts';

export function LocksView() {
  const { dialog } = useDashboard();
  const { locks, mayAct } = useSession();
  const items = locks.value.value;
  return (
    <section aria-labelledby="locks-title">
      <div class="view-head">
        <h2 id="locks-title">
          Locks <span class="faint">{items?.length ?? ''}</span>
        </h2>
        {mayAct.value && (
          <button type="button" class="danger" onClick={() => (dialog.value = { is: 'lock' })}>
            Lock…
          </button>
        )}
      </div>
      <p class="small note">A lock refuses whatever is new for what it names. {mayAct.value ? '' : 'You may look. To lock takes the role operator.'}</p>
      {items !== null && items.length === 0 && <p class="card empty">Nothing is locked.</p>}
      {items !== null && items.length > 0 && (
        <ScrollTable class="list cards" labelledBy="locks-title">
          <thead>
            <tr>
              <th scope="col">Locked</th>
              <th scope="col">Reason</th>
              <th scope="col">By</th>
              <th scope="col">Since</th>
              <th scope="col" class="number">
                Ends in
              </th>
              {mayAct.value && (
                <th scope="col">
                  <span class="unseen">Lift</span>
                </th>
              )}
            </tr>
          </thead>
          <tbody>
            {items.map((lock) => (
              <tr key={lock.id} data-lock={lock.id}>
                <th scope="row">
                  {selectorWords(lock.selector)}
                  {!lock.everywhere && <span class="mark">not everywhere: place it again, or lift it</span>}
                </th>
                <td data-label="Reason">
                  <Foreign text={lock.reason} />
                </td>
                <td data-label="By">
                  <Foreign text={lock.created_by} />
                </td>
                <td data-label="Since">
                  <span>{fullTime(lock.created_at)}</span>
                </td>
                <td class="number" data-label="Ends in">
                  <Until at={lock.until} over="over" />
                </td>
                {mayAct.value && (
                  <td class="action">
                    <button type="button" class="quiet" aria-label={`Lift: ${selectorWords(lock.selector)}`} onClick={() => (dialog.value = { is: 'lift', lock })}>
                      Lift…
                    </button>
                  </td>
                )}
              </tr>
            ))}
          </tbody>
        </ScrollTable>
      )}
    </section>
  );
}
