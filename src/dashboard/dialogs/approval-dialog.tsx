// Asks once more before a yes or a no is sent, with a note for the record.
import { useState } from 'preact/hooks';
import type { Approval } from '../answers.ts';
import { Refused, saidOf } from '../broker.ts';
import { useDashboard, useSession } from '../dashboard.ts';
import { Dialog, DialogButtons, Problem, ReasonField } from '../parts/dialog.tsx';
import { duration, readable } from '../words.ts';

export interface ApprovalDialogProps {
  /** As it was on the screen: its digest is sent, and a task that is another by then is refused. */
  readonly approval: Approval;
  readonly decision: 'approve' | 'deny';
  readonly onClose: () => void;
}

export function ApprovalDialog({ approval, decision, onClose }: ApprovalDialogProps) {
  const { said } = useDashboard();
  const { broker, approvals } = useSession();
  const [note, setNote] = useState('');
  const [problem, setProblem] = useState('');
  const [sending, setSending] = useState(false);
  const waits = approvals.value.value?.items.some(({ id }) => id === approval.id) ?? true;
  const isYes = decision === 'approve';

  async function send(): Promise<void> {
    if (sending || !waits) return;
    setSending(true);
    setProblem('');
    try {
      const now = await broker.decide(approval.id, { decision, digest: approval.envelope_digest, ...(note.trim() === '' ? {} : { note: note.trim() }) });
      said.value = afterwards(now);
      approvals.expire();
      onClose();
    } catch (error) {
      setProblem(error instanceof Refused ? readable(error.message) : `${saidOf(error)} Whether it was decided is not known: look again.`);
      setSending(false);
    }
  }

  const { envelope, approvals: given, approvals_needed: needed, risk } = approval;
  const credentials = envelope.credentials.map(({ name, ttl_seconds: ttl }) => `${name} for ${duration(ttl * 1000)}`).join(', ');
  return (
    <Dialog name="approval" title={isYes ? 'Approve this task?' : 'Deny this task?'} onClose={onClose} onSubmit={() => void send()} calm>
      <p>{readable(`${envelope.agent.subject} would get ${credentials}, to ${envelope.actions.join(', ')}, for ${envelope.purpose}. Risk: ${risk}.`)}</p>
      <p class="warning">
        {!isYes ? 'One no ends the task.' : needed - given > 1 ? `It takes ${needed} people, of whom ${given} said yes so far.` : 'With your yes its agent can claim it.'}
      </p>
      <p class="small">It is decided as you saw it, by its digest: were it another task by now, nothing is.</p>
      <p class="small mono">{approval.envelope_digest}</p>
      <ReasonField label="Note, for the record" value={note} onInput={setNote} />
      <Problem text={waits || sending ? problem : 'It no longer waits: somebody has decided, or its time is up.'} />
      <DialogButtons act={isYes ? 'Approve now' : 'Deny now'} isDanger={!isYes} isDisabled={sending || !waits} onCancel={onClose} />
    </Dialog>
  );
}

function afterwards({ state, approvals, approvals_needed: needed }: Approval): string {
  if (state === 'approved') return 'Approved: its agent can claim it now.';
  return state === 'denied' ? 'Denied: the task has ended.' : `${approvals} of ${needed} have approved it: somebody else has to, too.`;
}
