// What has happened since the page was opened, newest first.
import { clockTime, short } from './words.js';

const RECENT = 30;
const WHAT = {
  'task.declared': 'task declared', 'task.denied': 'task denied', 'task.activated': 'task began', 'task.ending': 'task ending', 'task.ended': 'task ended',
  'task.approved': 'approved', 'task.approval_denied': 'approval denied', 'task.approval_refused': 'may not decide about it', 'task.claimed': 'task claimed',
  'credential.denied': 'credential denied', 'lease.intended': 'lease intended', 'lease.activated': 'lease active', 'lease.abandoned': 'mint failed',
  'lease.revoking': 'revoking', 'lease.revoked': 'revoked', 'lease.lapsing': 'left to lapse', 'lease.lapsed': 'lapsed', 'lease.revocation_failed': 'revocation failed', 'lease.stuck': 'stuck', 'lease.acknowledged': 'acknowledged',
  'revocation.requested': 'revocation requested', 'revocation.completed': 'revocation done', 'revocation.cancelled': 'revocation cancelled',
  'lock.created': 'locked', 'lock.lifted': 'lock lifted', 'lock.expired': 'lock expired', 'grant.locked': 'refused by a lock', resync: 'looked afresh: events were missed',
};

/** @param {{ list: HTMLElement, none: HTMLElement }} options */
export function createRecentEvents({ list, none }) {
  return {
    add(type, data, now) {
      const item = document.createElement('li');
      item.dataset.type = type;
      const time = document.createElement('time');
      const at = data.at === undefined ? new Date(now) : new Date(data.at);
      time.dateTime = at.toISOString();
      time.textContent = clockTime(at);
      const what = document.createElement('strong');
      what.textContent = data.facts?.state === 'pending_approval' ? 'waits for approval' : (WHAT[type] ?? type);
      const { facts = {} } = data;
      const subject = facts.credential ?? facts.credentials?.map((one) => one.credential).join(', ') ?? '';
      const about = document.createElement('span');
      about.textContent = [subject, data.agent?.subject, facts.reason, data.leases?.length === 1 ? short(data.leases[0]) : '', facts.failure]
        .filter((part) => typeof part === 'string' && part !== '')
        .join(' · ');
      item.append(time, what, about);
      list.prepend(item);
      while (list.children.length > RECENT) list.lastElementChild.remove();
      none.hidden = true;
    },
    clear() {
      list.replaceChildren();
      none.hidden = false;
    },
  };
}
