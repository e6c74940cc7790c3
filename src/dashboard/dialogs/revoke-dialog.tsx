// Asks what is to end and why, says first how much that is, and then shows what became of each lease.
import { useEffect, useState } from 'preact/hooks';
import type { DryRun } from '../answers.ts';
import { saidOf } from '../broker.ts';
import { useDashboard, useSession } from '../dashboard.ts';
import { Dialog, DialogButtons, Problem, ReasonField, TypedField } from '../parts/dialog.tsx';
import { Foreign } from '../parts/foreign.tsx';
import { limitOf } from '../parts/lease-words.tsx';
import { count, counted, readable } from '../words.ts';
import type { RevokeTarget } from './open-dialog.ts';
import { MANY, scopesOf, type Scope } from './revocation-plan.ts';
import { RevocationResults } from './revocation-results.tsx';

export function RevokeDialog({ target, onClose }: { readonly target: RevokeTarget; readonly onClose: () => void }) {
  const { said } = useDashboard();
  const { broker } = useSession();
  const scopes = scopesOf(target);
  const [scope, choose] = useState<Scope | undefined>(scopes[0]);
  const [reason, setReason] = useState('');
  const [typed, setTyped] = useState('');
  const [problem, setProblem] = useState('');
  const [sending, setSending] = useState(false);
  const [requested, setRequested] = useState<readonly string[] | null>(null);
  const wouldEnd = useDryRun(scope);
  const leases = wouldEnd === null || typeof wouldEnd === 'string' ? null : wouldEnd.leases;
  const mustType = leases !== null && leases > MANY;

  async function send(): Promise<void> {
    if (sending || scope === undefined) return;
    if (reason.trim() === '') {
      setProblem('Say why: it goes on the record.');
      return;
    }
    if (mustType && typed.trim() !== String(leases)) {
      setProblem(`Type ${leases} to end as many leases.`);
      return;
    }
    setSending(true);
    setProblem('');
    const ids: string[] = [];
    try {
      for (const selector of scope.selectors) ids.push((await broker.revoke(selector, reason.trim())).id);
      setRequested(ids);
      said.value = 'Revocation requested.';
    } catch (error) {
      if (ids.length > 0) setRequested(ids);
      setProblem(ids.length > 0 ? `Only a part was asked for: ${saidOf(error)}` : `${saidOf(error)} Nothing is known to have been revoked.`);
      setSending(false);
    }
  }

  if (requested !== null) {
    return (
      <Dialog key="results" name="revoke" title="Revocation" onClose={onClose} onSubmit={onClose} calm>
        <Problem text={problem} />
        <RevocationResults ids={requested} />
        <DialogButtons act="Close" />
      </Dialog>
    );
  }
  return (
    <Dialog name="revoke" title="Revoke" onClose={onClose} onSubmit={() => void send()}>
      <About target={target} />
      {scopes.length > 1 && (
        <fieldset>
          <legend>What ends</legend>
          {scopes.map((one) => (
            <label key={one.name}>
              <input type="radio" name="scope" value={one.name} checked={one.name === scope?.name} onChange={() => choose(one)} /> {one.words}
            </label>
          ))}
        </fieldset>
      )}
      <p class="would-end" role="status" data-would-end={leases ?? ''}>
        {wouldEnd === null ? 'Counting…' : typeof wouldEnd === 'string' ? wouldEnd : wordsOf(wouldEnd)}
      </p>
      <ReasonField label="Reason, for the record" value={reason} onInput={setReason} required />
      {mustType && <TypedField toType={String(leases)} value={typed} onInput={setTyped} />}
      <Problem text={problem} />
      <DialogButtons act={leases === null || leases === 1 ? 'Revoke now' : `Revoke ${count(leases)}`} isDanger isDisabled={sending} onCancel={onClose} />
    </Dialog>
  );
}

function About({ target }: { readonly target: RevokeTarget }) {
  if (target.of === 'lease') {
    const { lease } = target;
    const limit = limitOf(lease.revocability);
    return (
      <>
        <p>
          <Foreign text={lease.credential} /> ({lease.kind}) of <Foreign text={lease.agent} />, for <Foreign text={lease.purpose} />
        </p>
        <p class="small mono">{lease.id}</p>
        {limit !== '' && <p class="warning">{limit}</p>}
      </>
    );
  }
  return <p>{target.of === 'selector' ? readable(target.words) : counted(target.leases.length, 'selected lease')}</p>;
}

interface WouldEnd {
  readonly leases: number;
  readonly tasks: number;
  /** Among the first of them. */
  readonly notExact: number;
}

const wordsOf = ({ leases, tasks, notExact }: WouldEnd): string =>
  [
    leases === 0 ? 'Nothing that is live matches.' : `${counted(leases, 'lease')} would end${tasks > 0 ? `, and ${counted(tasks, 'task')}` : ''}.`,
    notExact > 0 ? `${count(notExact)} of them cannot be ended at once: what can still be used, and until when, is shown with the result.` : '',
  ].join(' ');

const summed = (dryRuns: readonly DryRun[]): WouldEnd => ({
  leases: dryRuns.reduce((sum, { progress }) => sum + progress.total, 0),
  tasks: dryRuns.reduce((sum, { progress }) => sum + progress.tasks, 0),
  notExact: dryRuns.flatMap(({ results }) => results).filter(({ revocability }) => revocability !== 'exact').length,
});

/** What would end, as the broker counts it; a text where it could not say. */
function useDryRun(scope: Scope | undefined): WouldEnd | string | null {
  const { broker } = useSession();
  const [wouldEnd, set] = useState<WouldEnd | string | null>(null);
  useEffect(() => {
    let isOver = false;
    set(null);
    if (scope === undefined) return undefined;
    Promise.all(scope.selectors.map((selector) => broker.countLive(selector))).then(
      (dryRuns) => !isOver && set(summed(dryRuns)),
      (error: unknown) => !isOver && set(`It cannot be said how much that is: ${saidOf(error)}`),
    );
    return () => void (isOver = true);
  }, [scope]);
  return wouldEnd;
}
