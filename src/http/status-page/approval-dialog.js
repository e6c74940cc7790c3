// Asks once more before a yes or a no is sent, with a note for the record.
import { Refused } from './broker.js';
import { duration, readable } from './words.js';

const $ = (id) => document.getElementById(id);
const AFTER = {
  approved: 'Approved: its agent can claim it now.',
  denied: 'Denied: the task has ended.',
};

/** @param {{ decide: (id: string, answer: object) => Promise<object>, onDecided: (said: string) => void }} options */
export function createApprovalDialog({ decide, onDecided }) {
  /** As it was on the screen: its digest is sent, and a task that is another by then is refused. */
  let asked;

  $('approval-form').addEventListener('submit', (event) => {
    event.preventDefault();
    void send();
  });
  $('approval-cancel').addEventListener('click', () => $('approval-dialog').close());

  async function send() {
    const { approval, decision } = asked;
    const note = $('approval-note').value.trim();
    $('approval-confirm').disabled = true;
    $('approval-problem').textContent = '';
    try {
      const { approval: now } = await decide(approval.id, { decision, digest: approval.envelope_digest, ...(note === '' ? {} : { note }) });
      $('approval-dialog').close();
      onDecided(AFTER[now.state] ?? `${now.approvals} of ${now.approvals_needed} have approved it: somebody else has to, too.`);
    } catch (error) {
      $('approval-problem').textContent = error instanceof Refused ? readable(error.message) : 'The broker cannot be reached. Whether it was decided is not known: look again.';
      $('approval-confirm').disabled = false;
    }
  }

  return {
    ask(approval, decision) {
      asked = { approval, decision };
      const { envelope, approvals, approvals_needed: needed, risk } = approval;
      const isYes = decision === 'approve';
      const credentials = envelope.credentials.map(({ name, ttl_seconds: ttl }) => `${name} for ${duration(ttl * 1000)}`).join(', ');
      $('approval-title').textContent = isYes ? 'Approve this task?' : 'Deny this task?';
      $('approval-what').textContent = readable(`${envelope.agent.subject} would get ${credentials}, to ${envelope.actions.join(', ')}, for ${envelope.purpose}. Risk: ${risk}.`);
      $('approval-effect').textContent =
        !isYes ? 'One no ends the task.'
        : needed - approvals > 1 ? `It takes ${needed} people, of whom ${approvals} said yes so far.`
        : 'With your yes its agent can claim it.';
      $('approval-digest').textContent = approval.envelope_digest;
      $('approval-problem').textContent = '';
      $('approval-form').reset();
      $('approval-confirm').textContent = isYes ? 'Approve now' : 'Deny now';
      $('approval-confirm').className = isYes ? 'main-button' : 'danger';
      $('approval-confirm').disabled = false;
      $('approval-dialog').showModal();
      // Not a button, nor the field: the key that opened this must not also send it.
      $('approval-title').focus();
    },
    /** What waits now: somebody else may have decided meanwhile. */
    keepOnly(has) {
      if (!$('approval-dialog').open || has(asked.approval.id) || $('approval-confirm').disabled) return;
      $('approval-confirm').disabled = true;
      $('approval-problem').textContent = 'It no longer waits: somebody has decided, or its time is up.';
    },
    close() {
      if ($('approval-dialog').open) $('approval-dialog').close();
    },
  };
}
