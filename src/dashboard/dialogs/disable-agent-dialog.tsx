// The switch that stops an agent: all it has ends, and it is granted nothing until an admin enables it again.
import { useState } from 'preact/hooks';
import type { Agent } from '../answers.ts';
import { saidOf } from '../broker.ts';
import { useDashboard, useSession } from '../dashboard.ts';
import { Dialog, DialogButtons, Problem, ReasonField, TypedField } from '../parts/dialog.tsx';
import { Foreign } from '../parts/foreign.tsx';
import { counted } from '../words.ts';
import { MANY } from './revocation-plan.ts';
import { RevocationResults } from './revocation-results.tsx';

export function DisableAgentDialog({ agent, onClose }: { readonly agent: Agent; readonly onClose: () => void }) {
  const { said } = useDashboard();
  const { broker, agents } = useSession();
  const [reason, setReason] = useState('');
  const [typed, setTyped] = useState('');
  const [problem, setProblem] = useState('');
  const [sending, setSending] = useState(false);
  const [revocation, setRevocation] = useState<string | null>(null);
  const mustType = agent.live_leases > MANY;

  async function send(): Promise<void> {
    if (sending) return;
    if (reason.trim() === '') {
      setProblem('Say why: it goes on the record.');
      return;
    }
    if (mustType && typed.trim() !== String(agent.live_leases)) {
      setProblem(`Type ${agent.live_leases} to end as many leases.`);
      return;
    }
    setSending(true);
    try {
      const disabled = await broker.disableAgent(agent.id, reason.trim());
      agents.expire();
      said.value = 'The agent is disabled.';
      setRevocation(disabled.revocation.id);
    } catch (error) {
      setProblem(saidOf(error));
      setSending(false);
    }
  }

  return (
    <Dialog key={revocation} name="disable" title={revocation === null ? 'Disable this agent?' : 'Disabled'} onClose={onClose} onSubmit={() => (revocation === null ? void send() : onClose())}>
      <p>
        <Foreign text={agent.subject} />, of <Foreign text={agent.owner} />
      </p>
      {revocation === null ? (
        <>
          <p class="warning">
            {counted(agent.live_leases, 'live lease')} and {counted(agent.live_tasks, 'live task')} of it end, and nothing is granted to it until an admin enables it again.
          </p>
          <ReasonField label="Reason, for the record" value={reason} onInput={setReason} required />
          {mustType && <TypedField toType={String(agent.live_leases)} value={typed} onInput={setTyped} />}
        </>
      ) : (
        <RevocationResults ids={[revocation]} />
      )}
      <Problem text={problem} />
      {revocation === null ? <DialogButtons act="Disable now" isDanger isDisabled={sending} onCancel={onClose} /> : <DialogButtons act="Close" />}
    </Dialog>
  );
}
