// Who is told of events from outside the page, whether they take them, and what an admin can do about one that does not.
import { useEffect, useState } from 'preact/hooks';
import type { Webhook } from '../answers.ts';
import { saidOf } from '../broker.ts';
import { useDashboard, useSession } from '../dashboard.ts';
import { Foreign } from '../parts/foreign.tsx';
import { Icon } from '../parts/icon.tsx';
import { ScrollTable } from '../parts/scroll-table.tsx';
import { count, fullTime } from '../words.ts';

export function WebhookPanel() {
  const { webhooks } = useSession();
  useEffect(() => webhooks.use(), []);
  const items = webhooks.value.value ?? [];
  if (items.length === 0) return null;
  return (
    <section class="card wide" aria-labelledby="webhooks-title">
      <h3 id="webhooks-title">Webhooks</h3>
      <ScrollTable class="cards" labelledBy="webhooks-title">
        <thead>
          <tr>
            <th scope="col">Who is told</th>
            <th scope="col">State</th>
            <th scope="col">Last delivered</th>
            <th scope="col" class="number">
              Waiting
            </th>
            <th scope="col" class="number">
              Given up
            </th>
            <th scope="col">
              <span class="unseen">Actions</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {items.map((webhook) => (
            <WebhookRow key={webhook.name} webhook={webhook} />
          ))}
        </tbody>
      </ScrollTable>
    </section>
  );
}

/** In words, and whether somebody has to look. */
function stateOf({ state, disabled_at: disabledAt, delivered_at: deliveredAt, failed_at: failedAt, failed_status: status, next_try_at: nextTryAt }: Webhook): readonly [words: string, isBad: boolean, more: string] {
  if (state === 'disabled') return ['disabled', true, disabledAt === null ? '' : `it answered 410 on ${fullTime(disabledAt)}`];
  const isFailing = failedAt !== null && (deliveredAt === null || Date.parse(failedAt) > Date.parse(deliveredAt));
  if (!isFailing) return ['enabled', false, ''];
  return ['failing', true, [status === null ? 'it does not answer' : `it answered ${status}`, nextTryAt === null ? '' : `next try ${fullTime(nextTryAt)}`].filter((part) => part !== '').join('; ')];
}

function WebhookRow({ webhook }: { readonly webhook: Webhook }) {
  const { dialog } = useDashboard();
  const { broker, webhooks, caller } = useSession();
  const [tested, setTested] = useState('');
  const [words, isBad, more] = stateOf(webhook);
  const isAdmin = caller.value.role === 'admin';

  async function test(): Promise<void> {
    setTested('Sending…');
    try {
      const { delivered, status, failure } = await broker.testWebhook(webhook.name);
      setTested(delivered ? `The test was taken (${status ?? ''}).` : status === null ? `The test was not taken: ${failure ?? 'no answer'}.` : `The test was not taken: it answered ${status}.`);
    } catch (error) {
      setTested(saidOf(error));
    }
    webhooks.expire();
  }

  return (
    <tr data-webhook={webhook.name} data-state={words}>
      <th scope="row">
        <Foreign text={webhook.name} />
        <span class="small">
          <Foreign text={webhook.host} />, {webhook.events.join(', ')}
        </span>
      </th>
      <td data-label="State">
        <span class="state" data-tone={isBad ? 'bad' : 'good'}>
          <Icon name={isBad ? 'alert' : 'check'} />
          {words}
        </span>
        {more !== '' && <span class="small">{more}</span>}
      </td>
      <td data-label="Last delivered">
        <span>{webhook.delivered_at === null ? 'never' : fullTime(webhook.delivered_at)}</span>
      </td>
      <td class="number" data-label="Waiting">
        <span>{count(webhook.waiting)}</span>
      </td>
      <td class="number" data-label="Given up">
        <span>{count(webhook.given_up)}</span>
      </td>
      <td class="action">
        {isAdmin && (
          <>
            <button type="button" class="quiet" aria-label={`Send a test to ${webhook.name}`} onClick={() => void test()}>
              Send a test
            </button>
            {webhook.state === 'disabled' && (
              <button type="button" class="quiet" aria-label={`Enable: ${webhook.name}`} onClick={() => (dialog.value = { is: 'enable-webhook', webhook })}>
                Enable…
              </button>
            )}
          </>
        )}
        <span class="small" role="status">
          {tested}
        </span>
      </td>
    </tr>
  );
}
