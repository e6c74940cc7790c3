// What waits for a human: a card for each task, all that it declares, and the two buttons of whoever may decide.
import { clockTime, duration, readable } from './words.js';

const LAST_SECONDS = 60;
const EVIDENCE = {
  self_declared: 'nothing but the declarer’s own word',
  orchestrator_signed: 'signed by an orchestrator',
  user_consented: 'the person consented',
  approved: 'approved by humans',
};

/**
 * @param {{
 *   list: HTMLElement,
 *   agentOf: (issuer: string, subject: string) => { owner: string, mark: string } | null,
 *   onDecide: (approval: object, decision: 'approve' | 'deny') => void,
 * }} options
 */
export function createApprovalList({ list, agentOf, onDecide }) {
  const cards = new Map();
  let mayDecide = false;

  function remove(id) {
    const card = cards.get(id);
    const next = card.element.nextElementSibling ?? card.element.previousElementSibling;
    const hadFocus = card.element.contains(document.activeElement);
    card.element.remove();
    cards.delete(id);
    // Who works with the keyboard must not be thrown back to the top of the page.
    if (hadFocus) (next?.querySelector('button') ?? list.closest('[tabindex]')).focus();
  }

  /** Builds the card once; its buttons stay, so that what has the focus keeps it. */
  function newCard(id) {
    const [title, risk, left, facts, actions] = [element('h3'), element('span', 'risk'), element('span', 'left'), element('dl', 'facts'), element('div', 'together')];
    title.id = `waits-${id}`;
    const head = element('div', 'approval-head', title, risk, left);
    const card = { element: element('li', 'card approval', head, facts, actions) };
    card.element.dataset.task = id;
    card.element.setAttribute('aria-labelledby', title.id);
    const buttons = ['approve', 'deny'].map((decision) => {
      const button = element('button', decision === 'approve' ? 'main-button' : 'revoke', decision === 'approve' ? 'Approve…' : 'Deny…');
      button.type = 'button';
      button.addEventListener('click', () => onDecide(card.approval, decision));
      return button;
    });
    actions.append(...buttons);

    card.fill = () => {
      const { envelope, risk: word } = card.approval;
      card.element.dataset.risk = word;
      title.replaceChildren(isolated(envelope.agent.subject), ' for ', isolated(envelope.purpose));
      risk.textContent = `risk: ${word}`;
      facts.replaceChildren(...factsOf(card.approval, agentOf));
      buttons.forEach((button, index) => button.setAttribute('aria-label', `${index === 0 ? 'Approve' : 'Deny'}: ${envelope.purpose} of ${envelope.agent.subject}`));
      card.showActions();
    };
    card.showActions = () => {
      actions.hidden = !mayDecide;
    };
    card.tick = (now) => {
      const leftMs = Date.parse(card.approval.waits_until) - now;
      left.textContent = leftMs > 0 ? `${duration(leftMs)} left` : 'time is up';
      left.title = `until ${clockTime(Date.parse(card.approval.waits_until))}`;
      card.element.dataset.urgency = leftMs < LAST_SECONDS * 1000 ? 'last' : 'later';
      for (const button of buttons) button.disabled = leftMs <= 0;
    };
    return card;
  }

  return {
    has: (id) => cards.has(id),
    agents: () => [...cards.values()].map(({ approval }) => approval.envelope.agent.subject),
    /** Takes all that waits, oldest first; what is not among them is gone. */
    take(approvals) {
      const kept = new Set(approvals.map(({ id }) => id));
      for (const id of [...cards.keys()]) if (!kept.has(id)) remove(id);
      for (const approval of approvals) {
        const card = cards.get(approval.id) ?? newCard(approval.id);
        if (!cards.has(approval.id)) list.append(card.element);
        cards.set(approval.id, card);
        card.approval = approval;
        card.fill();
      }
    },
    refill() {
      for (const card of cards.values()) card.fill();
    },
    allowDeciding(allowed) {
      mayDecide = allowed;
      for (const card of cards.values()) card.showActions();
    },
    /** Counts down; answers how many wait. */
    tick(now) {
      for (const card of cards.values()) card.tick(now);
      return cards.size;
    },
    clear() {
      for (const id of [...cards.keys()]) remove(id);
    },
  };
}

/** What an approval would be of, in full. */
function factsOf({ id, envelope, task, envelope_digest: digest, approvals, approvals_needed: needed, approved_by: approvedBy }, agentOf) {
  const registered = agentOf(envelope.agent.issuer, envelope.agent.subject);
  const answers = registered === null ? '' : [registered.owner, registered.mark].filter((word) => word !== '').join(', ');
  return [
    fact('Why, they say', quoted(envelope.justification)),
    fact('Agent', who(envelope.agent)),
    fact('Its owner', answers),
    fact('Asked by', who(envelope.declarer)),
    fact('On behalf of', envelope.subject ?? 'nobody: it acts for itself'),
    fact('Evidence', `${EVIDENCE[task.evidence] ?? ''} (${task.evidence})`, envelope.vouched_by === null ? '' : `vouched for by ${envelope.vouched_by}`),
    fact('Came through', ...envelope.chain.map(who)),
    fact('To do', envelope.actions.join(', ')),
    fact('Data classes', envelope.data_classes.join(', ') || 'none named'),
    fact('Context', ...pairs(envelope.context)),
    fact('Credentials', ...envelope.credentials.map(({ name, ttl_seconds: ttl, params }) => [`${name} for ${duration(ttl * 1000)}`, ...pairs(params)].join(', '))),
    fact('Task lives for', duration(envelope.ttl_seconds * 1000)),
    fact('Heartbeat', envelope.heartbeat_seconds === null ? '' : `every ${duration(envelope.heartbeat_seconds * 1000)}`),
    fact('Part of', envelope.parent === null ? '' : element('span', 'mono', envelope.parent)),
    fact('Ticket', envelope.ticket ?? ''),
    fact('Approved', `${approvals} of ${needed}`, ...approvedBy.map(({ subject, at, note }) => `${subject} at ${clockTime(Date.parse(at))}${note === null ? '' : `: ${note}`}`)),
    fact('Task', element('span', 'mono', id)),
    fact('Digest', element('span', 'mono', digest)),
  ].filter((row) => row !== null);
}

/** A row of a list of facts; null where there is nothing to say. */
function fact(label, ...values) {
  const said = values.filter((value) => value !== '');
  return said.length === 0 ? null : element('div', '', element('dt', '', label), ...said.map((value) => element('dd', '', typeof value === 'string' ? isolated(value) : value)));
}

const quoted = (text) => (text === null ? 'they do not say' : element('q', '', isolated(text)));
const who = ({ issuer, subject }) => element('span', '', isolated(subject), ' ', element('span', 'small', isolated(issuer)));
/** Text keeps its quotes: `"1"` and `1` are not the same to policy. */
const pairs = (record) => Object.entries(record).map(([name, value]) => `${name} = ${JSON.stringify(value)}`);
/** The words of others, which turn no direction but their own. */
const isolated = (text) => element('bdi', '', readable(text));

function element(name, className = '', ...content) {
  const made = document.createElement(name);
  if (className !== '') made.className = className;
  made.append(...content);
  return made;
}
