// How far revocations are, and what became of each lease: the truth about what can still be used, and until when.
import { useEffect, useState } from 'preact/hooks';
import type { Revocation, RevocationResult } from '../answers.ts';
import { saidOf } from '../broker.ts';
import { useSession } from '../dashboard.ts';
import { isFinal } from '../lease-order.ts';
import { Foreign, Id } from '../parts/foreign.tsx';
import { Problem } from '../parts/dialog.tsx';
import { LeaseState } from '../parts/lease-words.tsx';
import { ScrollTable } from '../parts/scroll-table.tsx';
import { clockTime, count, counted } from '../words.ts';

const LOOK_EVERY_MS = 500;
const SLOWER_AFTER = 20;
const SLOW_MS = 3_000;
/** More results than these are not read on a screen; the progress counts them all. */
const MOST_SHOWN = 200;

export function RevocationResults({ ids }: { readonly ids: readonly string[] }) {
  const { revocations, problem } = useRevocations(ids);
  const results = revocations.flatMap((one) => one.results);
  const sum = (of: (one: Revocation) => number): number => revocations.reduce((total, one) => total + of(one), 0);
  const total = sum(({ progress }) => progress.total);
  const ended = sum(({ progress }) => progress.ended);
  const stuck = sum(({ progress }) => progress.stuck);
  const isDone = revocations.length === ids.length && revocations.every(({ state }) => state !== 'running') && ended >= total;
  return (
    <div class="results" data-done={isDone}>
      <p role="status">
        {revocations.length === 0 ? 'Asking…' : `${count(ended)} of ${counted(total, 'lease')} ended${stuck > 0 ? `, ${count(stuck)} stuck` : ''}${isDone ? '.' : '…'}`}
      </p>
      <progress max={Math.max(1, total)} value={ended} aria-label="Leases that have ended" />
      <Problem text={problem} />
      {results.length > 0 && (
        <ScrollTable class="cards" label="Each lease">
          <thead>
            <tr>
              <th scope="col">Lease</th>
              <th scope="col">Credential</th>
              <th scope="col">Agent</th>
              <th scope="col">State</th>
              <th scope="col">Usable</th>
            </tr>
          </thead>
          <tbody>
            {results.slice(0, MOST_SHOWN).map((result) => (
              <Result key={result.lease_id} result={result} />
            ))}
          </tbody>
        </ScrollTable>
      )}
      {total > MOST_SHOWN && <p class="small">The first {MOST_SHOWN} are shown; the counts are of all.</p>}
    </div>
  );
}

const Result = ({ result }: { readonly result: RevocationResult }) => (
  <tr data-lease={result.lease_id}>
    <td data-label="Lease">
      <Id id={result.lease_id} />
    </td>
    <td data-label="Credential">
      <Foreign text={result.credential} />
    </td>
    <td data-label="Agent">
      <Foreign text={result.agent} />
    </td>
    <td data-label="State">
      <LeaseState state={result.state} />
    </td>
    <td data-label="Usable">
      <span>{usable(result)}</span>
    </td>
  </tr>
);

function usable({ state, revocability, may_live_until: until }: RevocationResult): string {
  if (state === 'disclosed') return 'until it is rotated';
  if (isFinal(state) || until === null) return 'no more';
  const at = clockTime(Date.parse(until));
  return revocability === 'exact' ? `until confirmed, at most ${at}` : `may live until ${at}`;
}

/** Follows revocations until nothing more can become of them. */
function useRevocations(ids: readonly string[]): { readonly revocations: readonly Revocation[]; readonly problem: string } {
  const { broker } = useSession();
  const [known, setKnown] = useState<ReadonlyMap<string, Revocation>>(new Map());
  const [problem, setProblem] = useState('');
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let isOver = false;
    let looks = 0;
    const found = new Map<string, Revocation>();
    const settled = (id: string): boolean => {
      const one = found.get(id);
      return one !== undefined && one.state !== 'running' && one.progress.pending === 0;
    };
    async function look(): Promise<void> {
      try {
        for (const id of ids) {
          if (settled(id)) continue;
          found.set(id, await broker.revocation(id));
          if (isOver) return;
        }
        setKnown(new Map(found));
        setProblem('');
      } catch (error) {
        setProblem(`${saidOf(error)} It goes on there all the same.`);
      }
      looks += 1;
      if (!isOver && !ids.every(settled)) timer = setTimeout(() => void look(), looks > SLOWER_AFTER ? SLOW_MS : LOOK_EVERY_MS);
    }
    void look();
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }, []);
  return { revocations: [...known.values()], problem };
}
