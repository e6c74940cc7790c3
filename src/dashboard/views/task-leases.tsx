// The leases of one task: what is live, what is dead, and the receipt that says how that is known.
import { useState } from 'preact/hooks';
import type { Lease, Receipt } from '../answers.ts';
import { saidOf } from '../broker.ts';
import { useDashboard, useSession } from '../dashboard.ts';
import { isFinal } from '../lease-order.ts';
import { Foreign, Id } from '../parts/foreign.tsx';
import { LeaseState, Revocability, TimeLeft } from '../parts/lease-words.tsx';
import { Raw } from '../parts/record-list.tsx';
import { clockTime, seconds } from '../words.ts';

export function TaskLeases({ leases }: { readonly leases: readonly Lease[] }) {
  return (
    <section class="card wide" aria-labelledby="task-leases-title">
      <h3 id="task-leases-title">Leases</h3>
      {leases.length === 0 ? (
        <p class="small">It holds none.</p>
      ) : (
        <ul class="task-leases">
          {leases.map((lease) => (
            <TaskLease key={lease.id} lease={lease} />
          ))}
        </ul>
      )}
    </section>
  );
}

function TaskLease({ lease }: { readonly lease: Lease }) {
  const { dialog } = useDashboard();
  const { mayAct } = useSession();
  const isEnded = isFinal(lease.state);
  return (
    <li data-lease={lease.id} data-state={lease.state}>
      <div class="record-head">
        <strong>
          <Foreign text={lease.credential} />
        </strong>
        <span class="small">
          {lease.kind} by <Foreign text={lease.provider} />
        </span>
        <LeaseState state={lease.state} />
        {isEnded ? (
          <span class="small">
            {lease.ended_at !== null && clockTime(Date.parse(lease.ended_at))}
            {lease.exposure_unbounded ? '; exposed until it is rotated' : lease.exposure_seconds !== null ? `; usable too long by at most ${seconds(lease.exposure_seconds)}` : ''}
          </span>
        ) : (
          <TimeLeft lease={lease} />
        )}
        <span class="small grows">
          ends <Revocability of={lease.revocability} /> · <Id id={lease.id} />
        </span>
        {mayAct.value && !isEnded && (
          <button type="button" class="revoke" aria-label={`Revoke: ${lease.credential}`} onClick={() => (dialog.value = { is: 'revoke', target: { of: 'lease', lease } })}>
            Revoke
          </button>
        )}
      </div>
      {lease.last_failure !== null && (
        <p class="small">
          <Foreign text={lease.last_failure} />
        </p>
      )}
      {isEnded && <ReceiptOf lease={lease.id} />}
    </li>
  );
}

function ReceiptOf({ lease }: { readonly lease: string }) {
  const { broker } = useSession();
  const [receipt, set] = useState<Receipt | null>(null);
  const [problem, setProblem] = useState('');
  const open = (): void => void broker.receipt(lease).then(set, (error: unknown) => setProblem(saidOf(error)));
  return (
    <details onToggle={(event) => event.currentTarget.open && receipt === null && open()}>
      <summary class="small">Receipt</summary>
      {problem !== '' && <p class="problem">{problem}</p>}
      {receipt !== null && (
        <>
          <p class="statement">
            <Foreign text={receipt.receipt.statement} />
          </p>
          <Raw value={receipt} />
        </>
      )}
    </details>
  );
}
