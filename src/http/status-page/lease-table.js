// The table of live leases: one row for each, kept in order, its countdown ticking by the broker's clock.
import { clockTime, duration, short } from './words.js';

const FINAL = new Set(['revoked', 'lapsed', 'abandoned', 'disclosed']);
const SOON_SECONDS = 300;
const LAST_SECONDS = 60;
/** Ending a credential takes a moment: only after this does a lease past its time count as overdue. */
const ENDING_MS = 2_000;

const WORDS = {
  intended: 'being minted',
  active: 'active',
  revoking: 'being revoked',
  stuck: 'stuck',
};
const REVOCABILITY = {
  exact: ['at once', 'It can be ended now.'],
  eventual: ['in time', 'Ending it takes the target some time.'],
  none: ['only by expiry', 'Nothing but its own expiry ends it.'],
};

/** When a lease must be dead: its due time, or when somebody asked for the end. */
const deadline = (lease) => Date.parse(lease.revocation_due_at ?? lease.expires_at);

/**
 * @param {{
 *   body: HTMLElement,
 *   agentOf: (issuer: string, subject: string) => { owner: string, mark: string } | null,
 *   onRevoke: (lease: object) => void,
 *   onRetry: (lease: object) => void,
 * }} options
 */
export function createLeaseTable({ body, agentOf, onRevoke, onRetry }) {
  const rows = new Map();
  let mayRevoke = false;

  function set(lease) {
    if (lease.id === undefined || FINAL.has(lease.state)) {
      remove(lease.id);
      return;
    }
    const row = rows.get(lease.id) ?? newRow();
    rows.set(lease.id, row);
    row.lease = lease;
    row.total = Math.max(1, Date.parse(lease.expires_at) - Date.parse(lease.activated_at ?? lease.created_at));
    row.fill();
  }

  function remove(id) {
    const row = rows.get(id);
    if (row === undefined) return;
    const next = row.element.nextElementSibling ?? row.element.previousElementSibling;
    const hadFocus = row.element.contains(document.activeElement);
    row.element.remove();
    rows.delete(id);
    // Who works with the keyboard must not be thrown back to the top of the page.
    if (hadFocus) (next?.querySelector('button') ?? body.closest('[tabindex]')).focus();
  }

  /** Builds the row once; only its texts change. */
  function newRow() {
    const row = { element: document.createElement('tr') };
    row.element.setAttribute('role', 'row');
    const cell = (label, ...content) => {
      const element = document.createElement('td');
      element.setAttribute('role', 'cell');
      element.dataset.label = label;
      element.append(...content);
      row.element.append(element);
      return element;
    };
    const span = (className) => Object.assign(document.createElement('span'), { className });
    const [left, bar, state, failure, agent, owner, mark, task, purpose, credential, kind, provider, revocability] = [
      span('left'), document.createElement('progress'), span('state'), span('small'), span('main'), span('small owner'), span('mark'), span('small mono'),
      span('main'), span('main'), span('small'), span('main'), span('main'),
    ];
    bar.setAttribute('aria-hidden', 'true');
    cell('Due in', left, bar).classList.add('due');
    cell('State', state, failure);
    cell('Agent', agent, owner, mark, task);
    cell('Purpose', purpose);
    cell('Credential', credential, kind);
    cell('Provider', provider);
    cell('Can be ended', revocability);
    const button = Object.assign(document.createElement('button'), { type: 'button', className: 'revoke' });
    button.addEventListener('click', () => (row.lease.state === 'stuck' ? onRetry : onRevoke)(row.lease));
    const action = cell('', button);
    action.classList.add('action');

    row.fill = () => {
      const { lease } = row;
      row.element.dataset.lease = lease.id;
      row.element.dataset.state = lease.state;
      state.textContent = WORDS[lease.state] ?? lease.state;
      failure.textContent = lease.last_failure ?? '';
      agent.textContent = lease.agent;
      agent.title = `vouched for by ${lease.agent_issuer}`;
      row.showAgent();
      task.textContent = short(lease.task_id);
      task.title = lease.task_id;
      purpose.textContent = lease.purpose;
      credential.textContent = lease.credential;
      kind.textContent = lease.kind;
      provider.textContent = lease.provider;
      [revocability.textContent, revocability.title] = REVOCABILITY[lease.revocability] ?? [lease.revocability, ''];
      // What is stuck has been revoked already: its target has to be asked once more.
      button.textContent = lease.state === 'stuck' ? 'Try again' : 'Revoke';
      button.setAttribute('aria-label', `${button.textContent}: ${lease.credential} of ${lease.agent}`);
      row.showAction();
    };
    row.showAgent = () => {
      const registered = agentOf(row.lease.agent_issuer, row.lease.agent);
      owner.textContent = registered?.owner ?? '';
      owner.title = 'answers for this agent';
      mark.textContent = registered?.mark ?? '';
    };
    row.showAction = () => {
      action.hidden = !mayRevoke;
      button.disabled = row.lease.state === 'revoking' || row.lease.state === 'intended';
    };
    row.tick = (now) => {
      const leftMs = deadline(row.lease) - now;
      row.overdue = leftMs < -ENDING_MS;
      left.textContent = row.lease.state === 'intended' ? '–' : row.overdue ? `overdue ${duration(-leftMs)}` : duration(Math.max(0, leftMs));
      left.title = `due at ${clockTime(deadline(row.lease))}`;
      bar.value = Math.min(1, Math.max(0, leftMs / row.total));
      row.element.dataset.urgency = row.overdue ? 'overdue' : leftMs < LAST_SECONDS * 1000 ? 'last' : leftMs < SOON_SECONDS * 1000 ? 'soon' : 'later';
    };
    return row;
  }

  const rank = (row) => (row.lease.state === 'stuck' ? 0 : row.overdue ? 1 : 2);
  const order = (a, b) => rank(a) - rank(b) || deadline(a.lease) - deadline(b.lease) || a.lease.id.localeCompare(b.lease.id);

  return {
    /** Takes leases as they now are; final ones leave the table. `isAll`: what is not among them is gone too. */
    take(leases, isAll) {
      if (isAll) {
        const kept = new Set(leases.map((lease) => lease.id));
        for (const id of [...rows.keys()]) if (!kept.has(id)) remove(id);
      }
      for (const lease of leases) set(lease);
    },
    remove,
    agents: () => [...rows.values()].map(({ lease }) => lease.agent),
    /** The register has been looked at. */
    showAgents() {
      for (const row of rows.values()) row.showAgent();
    },
    allowRevoking(allowed) {
      mayRevoke = allowed;
      for (const row of rows.values()) row.showAction();
    },
    /** Counts down, and puts rows where they belong: those that should be dead and are not come first. */
    tick(now) {
      for (const row of rows.values()) row.tick(now);
      const sorted = [...rows.values()].sort(order);
      sorted.forEach((row, index) => {
        const there = body.children[index];
        if (there === row.element) return;
        const focused = row.element.contains(document.activeElement) ? document.activeElement : null;
        body.insertBefore(row.element, there ?? null);
        focused?.focus();
      });
      const count = (test) => sorted.filter(test).length;
      return {
        live: sorted.length,
        soon: count((row) => !row.overdue && (row.element.dataset.urgency === 'soon' || row.element.dataset.urgency === 'last')),
        overdue: count((row) => row.overdue),
        stuck: count((row) => row.lease.state === 'stuck'),
      };
    },
    clear() {
      for (const id of [...rows.keys()]) remove(id);
    },
  };
}
