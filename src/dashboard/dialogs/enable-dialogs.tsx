// Lets an agent, or a webhook, go on again: what was stopped on purpose is not started by a slip of the finger.
import { useState } from 'preact/hooks';
import type { Agent, Webhook } from '../answers.ts';
import { saidOf } from '../broker.ts';
import { useDashboard, useSession } from '../dashboard.ts';
import { Dialog, DialogButtons, Problem } from '../parts/dialog.tsx';
import { Foreign } from '../parts/foreign.tsx';
import { counted, fullTime } from '../words.ts';

interface EnableDialogProps {
  readonly title: string;
  readonly who: string;
  readonly why: string;
  readonly warning: string;
  readonly enable: () => Promise<unknown>;
  readonly afterwards: string;
  readonly onClose: () => void;
}

function EnableDialog({ title, who, why, warning, enable, afterwards, onClose }: EnableDialogProps) {
  const { said } = useDashboard();
  const [problem, setProblem] = useState('');
  const [sending, setSending] = useState(false);

  async function send(): Promise<void> {
    if (sending) return;
    setSending(true);
    try {
      await enable();
      said.value = afterwards;
      onClose();
    } catch (error) {
      setProblem(saidOf(error));
      setSending(false);
    }
  }

  return (
    <Dialog name="enable" title={title} onClose={onClose} onSubmit={() => void send()} calm>
      <p>
        <Foreign text={who} />
      </p>
      <p class="small">
        <Foreign text={why} />
      </p>
      <p class="warning">{warning}</p>
      <Problem text={problem} />
      <DialogButtons act="Enable now" isDisabled={sending} onCancel={onClose} />
    </Dialog>
  );
}

export function EnableAgentDialog({ agent, onClose }: { readonly agent: Agent; readonly onClose: () => void }) {
  const { broker, agents, locks } = useSession();
  const enable = async (): Promise<void> => {
    await broker.enableAgent(agent.id);
    agents.expire();
    locks.expire();
  };
  const { disabled } = agent;
  return (
    <EnableDialog
      title="Enable this agent?"
      who={`${agent.subject}, of ${agent.owner}`}
      why={disabled === null ? '' : `Disabled by ${disabled.by} on ${fullTime(disabled.at)}: ${disabled.reason}`}
      warning="What policy permits is granted to it again at once."
      enable={enable}
      afterwards="The agent is enabled."
      onClose={onClose}
    />
  );
}

export function EnableWebhookDialog({ webhook, onClose }: { readonly webhook: Webhook; readonly onClose: () => void }) {
  const { broker, webhooks } = useSession();
  const enable = async (): Promise<void> => {
    await broker.enableWebhook(webhook.name);
    webhooks.expire();
  };
  return (
    <EnableDialog
      title="Enable this webhook?"
      who={`${webhook.name} at ${webhook.host}`}
      why={webhook.disabled_at === null ? '' : `It answered on ${fullTime(webhook.disabled_at)} that it is gone (410).`}
      warning={`${counted(webhook.waiting, 'event')} that waited for it ${webhook.waiting === 1 ? 'is' : 'are'} sent at once.`}
      enable={enable}
      afterwards="The webhook is enabled."
      onClose={onClose}
    />
  );
}
