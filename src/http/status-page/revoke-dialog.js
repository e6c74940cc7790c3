// Asks what is to end, and why, before a revocation is requested.
import { Refused } from './broker.js';

const $ = (id) => document.getElementById(id);

/** @param {{ revoke: (selector: object, reason: string) => Promise<{ revocation: object }>, onRequested: (revocation: object) => void }} options */
export function createRevokeDialog({ revoke, onRequested }) {
  let wanted;

  $('revoke-form').addEventListener('submit', (event) => {
    event.preventDefault();
    void send();
  });
  $('revoke-cancel').addEventListener('click', () => $('revoke-dialog').close());

  async function send() {
    const reason = $('revoke-reason').value.trim();
    if (wanted === undefined) return;
    if (reason === '') {
      $('revoke-problem').textContent = 'Say why: it goes on the record.';
      $('revoke-reason').focus();
      return;
    }
    $('revoke-confirm').disabled = true;
    $('revoke-problem').textContent = '';
    try {
      const whole = $('revoke-form').elements.namedItem('scope').value === 'task';
      const { revocation } = await revoke(whole ? { task: wanted.task_id } : { lease: wanted.id }, reason);
      $('revoke-dialog').close();
      onRequested(revocation);
    } catch (error) {
      $('revoke-problem').textContent = error instanceof Refused ? error.message : 'The broker cannot be reached. Nothing is known to have been revoked.';
      $('revoke-confirm').disabled = false;
    }
  }

  return {
    ask(lease) {
      wanted = lease;
      $('revoke-what').textContent = `${lease.credential} (${lease.kind}) of ${lease.agent}, for ${lease.purpose}`;
      $('revoke-lease').textContent = lease.id;
      $('revoke-limit').textContent =
        lease.revocability === 'none' ? 'Its target knows no early end: it stays usable until it expires.'
        : lease.revocability === 'eventual' ? 'Its target needs some time to end it.'
        : '';
      $('revoke-problem').textContent = '';
      $('revoke-form').reset();
      $('revoke-confirm').disabled = false;
      $('revoke-dialog').showModal();
      $('revoke-reason').focus();
    },
    close() {
      if ($('revoke-dialog').open) $('revoke-dialog').close();
    },
  };
}
