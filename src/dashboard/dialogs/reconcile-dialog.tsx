// Compares what is live at the targets with the records, and ends what no record accounts for; at the end of a hold, that too.
import { useState } from 'preact/hooks';
import type { Reconciliation } from '../answers.ts';
import { saidOf } from '../broker.ts';
import { useDashboard, useSession } from '../dashboard.ts';
import { Dialog, DialogButtons, Problem, ReasonField, TypedField } from '../parts/dialog.tsx';
import { count, counted } from '../words.ts';
import { ReconciliationResults } from './reconciliation-results.tsx';
import { MANY } from './revocation-plan.ts';
import { toEnd, useReconciliation } from './use-reconciliation.ts';

const WORDS = {
  compare: { title: 'Compare with the targets', about: 'Asks each provider what is live under this deployment, and compares that with the records. What no record accounts for can be ended.', none: 'Nothing is to be ended.' },
  release: { title: 'End the hold?', about: 'Credentials are granted again at once, and what is live and in no record is ended.', none: 'Nothing is live that no record accounts for.' },
} as const;

export function ReconcileDialog({ act, onClose }: { readonly act: keyof typeof WORDS; readonly onClose: () => void }) {
  const { said } = useDashboard();
  const { broker, hold } = useSession();
  const [reason, setReason] = useState('');
  const [typed, setTyped] = useState('');
  const [problem, setProblem] = useState('');
  const [sending, setSending] = useState(false);
  const [asked, setAsked] = useState<Reconciliation | null>(null);
  const wouldEnd = useReconciliation(() => broker.reconcile(true));
  const isKnown = wouldEnd !== null && typeof wouldEnd !== 'string';
  const number = isKnown ? toEnd(wouldEnd) : null;
  const isRelease = act === 'release';
  const mustType = number !== null && number > MANY;
  const { title, about, none } = WORDS[act];

  async function send(): Promise<void> {
    if (sending) return;
    if (isRelease && reason.trim() === '') {
      setProblem('Say why: it goes on the record.');
      return;
    }
    if (mustType && typed.trim() !== String(number)) {
      setProblem(`Type ${number} to end as many credentials.`);
      return;
    }
    setSending(true);
    setProblem('');
    try {
      setAsked(await (isRelease ? broker.releaseHold(reason.trim()) : broker.reconcile(false)));
      if (isRelease) said.value = 'The hold has ended: credentials are granted again.';
      hold.expire();
    } catch (error) {
      setProblem(saidOf(error));
      setSending(false);
    }
  }

  if (asked !== null) return <Ended title={isRelease ? 'The hold has ended' : 'Compared'} asked={asked} onClose={onClose} />;
  const nothing = !isRelease && number === 0;
  return (
    <Dialog name="reconcile" title={title} onClose={onClose} onSubmit={() => (nothing ? onClose() : void send())} calm>
      <p class={isRelease ? 'warning' : 'small'}>{about}</p>
      <p class="would-end" role="status" data-would-end={number ?? ''}>
        {number === null ? (typeof wouldEnd === 'string' ? `It cannot be said how much that is: ${wouldEnd}` : 'Asking the targets…') : number === 0 ? none : `${counted(number, 'credential')} would end.`}
      </p>
      {isKnown && <ReconciliationResults of={wouldEnd} />}
      {isRelease && <ReasonField label="Reason, for the record" value={reason} onInput={setReason} required />}
      {mustType && <TypedField toType={String(number)} value={typed} onInput={setTyped} />}
      <Problem text={problem} />
      {nothing ? <DialogButtons act="Close" /> : <DialogButtons act={isRelease ? 'End the hold now' : number === null ? 'End them now' : `End ${count(number)} now`} isDanger isDisabled={sending || (!isRelease && number === null)} onCancel={onClose} />}
    </Dialog>
  );
}

function Ended({ title, asked, onClose }: { readonly title: string; readonly asked: Reconciliation; readonly onClose: () => void }) {
  const { broker } = useSession();
  const found = useReconciliation(() => broker.reconciliation(asked.id));
  return (
    <Dialog key="results" name="reconcile" title={title} onClose={onClose} onSubmit={onClose} calm>
      {found === null ? <p role="status">Ending what no record accounts for…</p> : typeof found === 'string' ? <Problem text={`${found} It goes on there all the same.`} /> : <ReconciliationResults of={found} />}
      <DialogButtons act="Close" />
    </Dialog>
  );
}
