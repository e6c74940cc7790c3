import { readFileSync } from 'node:fs';
import type { Config } from '../config/config-schema.ts';
import type { Clock } from '../core/clock.ts';
import { SHARDS, type Shard } from '../core/ids.ts';
import { Rounds } from '../core/rounds.ts';
import { Secret } from '../core/secret.ts';
import { parseWebhookKey, type WebhookKey } from '../core/standard-webhooks.ts';
import { addMs } from '../core/time.ts';
import { createOutboundFetch, type OutboundFetch } from '../identity/outbound-fetch.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { DueNotice } from '../ledger/notice-records.ts';
import type { Task } from '../task/task.ts';
import { slackNotice, webhookNotice } from './approval-notice.ts';
import { riskOf } from './risk-of.ts';

export type NoticeOutcome = 'sent' | 'failed' | 'gone';

export interface NoticeSenderDeps {
  readonly ledger: Pick<Ledger, 'claimNotices' | 'finishNotice' | 'retryNotice' | 'getTask' | 'recordEvent'>;
  readonly notices: Config['notices'];
  readonly environment: Config['environment'];
  readonly publicUrl: string | undefined;
  readonly risk: Config['policy']['risk'];
  readonly clock: Clock;
  readonly observe: (observation: { readonly recipient: string; readonly outcome: NoticeOutcome }) => void;
  readonly log: { warn(fields: object, message: string): void; error(fields: object, message: string): void };
}

/** A human reads it: a second more does not matter. */
const INTERVAL_MS = 1_000;
/** Longer than a request may take; a killed worker's notice is sent by another after this. */
const CLAIM_MS = 15_000;
const AT_ONCE = 20;
/** Between attempts: as long as the task has waited, so it doubles, within these. */
const RETRY_MIN_MS = 1_000;
const RETRY_MAX_MS = 60_000;

interface Recipient {
  readonly name: string;
  /** The address is a secret: whoever has it can post to it. */
  readonly url: Secret;
  readonly key: WebhookKey | undefined;
  readonly post: OutboundFetch;
}

/**
 * Tells each recipient of each task that waits for a human, at least once: until it took the notice, or nobody needs it any
 * more. One that answers 410 is told nothing more by this process, and that is on the record. Throws `TypeError` for an address
 * or a secret that is none.
 */
export class NoticeSender {
  readonly #deps: NoticeSenderDeps;
  readonly #recipients: ReadonlyMap<string, Recipient>;
  readonly #gone = new Set<string>();
  readonly #rounds = new Rounds();

  constructor(deps: NoticeSenderDeps) {
    this.#deps = deps;
    this.#recipients = new Map(deps.notices.map((notice) => [notice.name, recipientOf(notice, deps.environment)]));
  }

  start(): void {
    if (this.#recipients.size === 0) return;
    this.#rounds.start(async () => {
      await this.sendDue().catch((error: unknown) => this.#deps.log.warn({ err: error }, 'notices could not be looked at; tried again at the next look'));
      return INTERVAL_MS;
    });
  }

  stop(): Promise<void> {
    return this.#rounds.stop();
  }

  /** One look at all that is due. */
  async sendDue(): Promise<void> {
    const { ledger, clock } = this.#deps;
    await Promise.all(
      SHARDS.map(async (shard) => {
        const due = await ledger.claimNotices(shard, clock.now(), addMs(clock.now(), CLAIM_MS), AT_ONCE);
        await Promise.all(due.map((notice) => this.#send(shard, notice)));
      }),
    );
  }

  async #send(shard: Shard, notice: DueNotice): Promise<void> {
    const { ledger, clock, observe, log } = this.#deps;
    const recipient = this.#recipients.get(notice.recipient);
    const task = await ledger.getTask(notice.task);
    if (recipient === undefined || task?.state !== 'pending_approval' || this.#gone.has(notice.recipient)) return ledger.finishNotice(shard, notice);
    const status = await this.#post(recipient, task);
    if (status !== null && status >= 200 && status < 300) {
      observe({ recipient: recipient.name, outcome: 'sent' });
      return ledger.finishNotice(shard, notice);
    }
    if (status === 410) {
      this.#gone.add(recipient.name);
      observe({ recipient: recipient.name, outcome: 'gone' });
      log.error({ recipient: recipient.name }, 'the recipient of notices is gone (410); it is told nothing more');
      await ledger.recordEvent({ shard, type: 'notice.disabled', task: task.id, agent: task.agent, by: { issuer: 'mayfly', subject: 'notices' }, facts: { recipient: recipient.name, status } });
      return ledger.finishNotice(shard, notice);
    }
    observe({ recipient: recipient.name, outcome: 'failed' });
    log.warn({ recipient: recipient.name, task: task.id, status }, 'a notice was not taken; tried again');
    const delayMs = Math.min(RETRY_MAX_MS, Math.max(RETRY_MIN_MS, clock.now() - task.createdAtMs));
    return ledger.retryNotice(shard, notice, addMs(clock.now(), delayMs));
  }

  /** The status of the answer, or null where there was none. */
  async #post({ name, url, key, post }: Recipient, task: Task): Promise<number | null> {
    const { clock, publicUrl, risk: rated, log } = this.#deps;
    const asked = { risk: riskOf(task.actions, rated), publicUrl };
    const { body, headers } = key === undefined ? slackNotice(task, asked) : webhookNotice(task, { ...asked, key, recipient: name, nowMs: clock.now() });
    try {
      const { status } = await post(url.expose(), { json: new Secret(body), headers, signal: this.#rounds.signal });
      return status;
    } catch (error) {
      // Its name alone: a message could repeat the address.
      log.warn({ recipient: name, error: error instanceof Error ? error.name : 'unknown' }, 'the recipient of notices was not reached');
      return null;
    }
  }
}

function recipientOf({ name, url_file: urlFile, secret_file: secretFile, allow_private_addresses: allowPrivateAddresses }: Config['notices'][number], environment: Config['environment']): Recipient {
  const url = URL.parse(readFileSync(urlFile, 'utf8').trim());
  if (url === null) throw new TypeError(`notices ${name}: url_file holds no URL`);
  return {
    name,
    url: new Secret(url.href),
    key: secretFile === undefined ? undefined : parseWebhookKey(readFileSync(secretFile, 'utf8'), `notices ${name}: secret_file`),
    post: createOutboundFetch({ environment, allowHosts: [url.host], allowPrivateAddresses }),
  };
}
