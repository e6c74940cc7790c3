import type { Risk } from '../config/config-words.ts';
import { signWebhook, type WebhookKey } from '../core/standard-webhooks.ts';
import { toRfc3339, rfc3339OrNull, type EpochMs } from '../core/time.ts';
import { envelopeDigest } from '../task/approval.ts';
import type { Task } from '../task/task.ts';

/** What is sent to one recipient: the exact body, and the headers that go with it. */
export interface NoticeMessage {
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** What is said about a task besides what it declares: how risky its actions are, and where the broker is. */
interface Asked {
  readonly risk: Risk;
  readonly publicUrl: string | undefined;
}

/**
 * A notice by Standard Webhooks 1.0: the id is the same at every attempt, so that a recipient can tell a repetition.
 */
export function webhookNotice(task: Task, { key, recipient, nowMs, ...asked }: Asked & { readonly key: WebhookKey; readonly recipient: string; readonly nowMs: EpochMs }): NoticeMessage {
  const body = JSON.stringify({ type: 'task.approval_required', timestamp: toRfc3339(task.createdAtMs), data: noticeData(task, asked) });
  return { body, headers: signWebhook({ id: `${task.id}.${recipient}`, body }, [key], nowMs) };
}

/** A notice for an incoming webhook of Slack, or of what takes the same: one text, in which nothing of the declarer's is obeyed. */
export function slackNotice(task: Task, asked: Asked): NoticeMessage {
  const { agent, declarer, purpose, actions, risk, data_classes: dataClasses, credentials, justification, approvals_needed: needed, waits_until: until, decide } = noticeData(task, asked);
  const lines = [
    `${needed === 1 ? 'A task waits for approval' : `A task waits for ${needed} approvals`} until ${until ?? ''}`,
    `Agent: ${agent}`,
    ...(declarer === agent ? [] : [`Asked by: ${declarer}`]),
    `Purpose: ${purpose}`,
    `To do: ${actions.join(', ')}${dataClasses.length === 0 ? '' : ` on ${dataClasses.join(', ')}`} (risk: ${risk})`,
    `Credentials: ${credentials.map(({ name, ttl_seconds: ttl }) => `${name} for ${ttl} s`).join(', ')}`,
    `Why, they say: ${justification ?? '-'}`,
    `Decide: ${decide.command}${decide.url === undefined ? '' : ` or ${decide.url}`}`,
  ];
  return { body: JSON.stringify({ text: escapedForSlack(lines.join('\n')), mrkdwn: false }), headers: {} };
}

/** Who asks for what, why, until when, and how to decide. No secret is near it. */
function noticeData(task: Task, { risk, publicUrl }: Asked) {
  return {
    task: task.id,
    agent: task.agent.subject,
    declarer: task.declarer.subject,
    subject: task.subject,
    vouched_by: task.vouchedBy,
    purpose: task.purpose,
    justification: task.justification,
    ticket: task.ticket,
    actions: task.actions,
    risk,
    data_classes: task.dataClasses,
    credentials: task.credentials.map(({ name, ttlSeconds }) => ({ name, ttl_seconds: ttlSeconds })),
    ttl_seconds: task.ttlSeconds,
    approvals: task.approval?.given.length ?? 0,
    approvals_needed: task.approval?.needed ?? 1,
    waits_until: rfc3339OrNull(task.waitsUntilMs),
    envelope_digest: envelopeDigest(task),
    decide: { call: `POST /v1/tasks/${task.id}/approval`, command: `mayfly approvals get ${task.id}`, url: publicUrl },
  };
}

/** Slack's three control characters; and no mention, which others that take the same form find without them. */
const escapedForSlack = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('@', '@\u200b');
