// The status page: signs in with a pasted token, shows live leases, follows the events, revokes.
import { connectBroker, MOST, Refused } from './broker.js';
import { followEvents } from './event-source.js';
import { clockTime, createLeaseTable, short } from './lease-table.js';

/** Both in sessionStorage: this tab alone has them, and they go with it. */
const TOKEN = 'mayfly.token';
const LAST_EVENT = 'mayfly.last-event';
/** Events of many leases within this time are one look at the broker. */
const GATHER_MS = 150;
/** More leases than this have changed: look at all of them at once. */
const ONE_BY_ONE = 20;
/** Should events ever stop coming, the table is still not older than this. */
const LOOK_EVERY_MS = 30_000;
const RECENT = 30;
const RETRY_MS = 3_000;

const $ = (id) => document.getElementById(id);
const storage = {
  get: (key) => {
    try {
      return sessionStorage.getItem(key);
    } catch {
      return null;
    }
  },
  set: (key, value) => {
    try {
      if (value === null) sessionStorage.removeItem(key);
      else sessionStorage.setItem(key, value);
    } catch {
      // Storage is switched off: the token lives in memory alone, and a reload asks for it again.
    }
  },
};

const table = createLeaseTable({ body: $('leases'), onRevoke: askToRevoke, onRetry: (lease) => void retryStuck(lease) });
/** Everything that belongs to one sign-in; undefined while signed out. */
let session;
/** While the broker cannot be reached at signing in. */
let retry;

$('sign-in').addEventListener('submit', (event) => {
  event.preventDefault();
  const token = $('token').value.trim();
  $('token').value = '';
  if (token !== '') void signIn(token);
});
$('sign-out').addEventListener('click', () => signOut('Signed out.'));
$('revoke-form').addEventListener('submit', (event) => {
  event.preventDefault();
  void revoke();
});
$('revoke-cancel').addEventListener('click', () => $('revoke-dialog').close());
for (const button of document.querySelectorAll('[data-copy]')) {
  button.addEventListener('click', () => {
    void navigator.clipboard?.writeText($(button.dataset.copy).textContent).then(() => {
      button.textContent = 'Copied';
    });
  });
}

const kept = storage.get(TOKEN);
if (kept === null) showSignedOut('');
else void signIn(kept);

async function signIn(token) {
  const ended = new AbortController();
  const mine = { token, broker: connectBroker(token), ended, dirty: new Set(), all: true, now: () => Date.now() };
  clearTimeout(retry);
  try {
    await learnWho(mine);
  } catch (error) {
    const isFinal = error instanceof Refused && error.status < 500;
    if (isFinal) storage.set(TOKEN, null);
    else retry = setTimeout(() => void signIn(token), RETRY_MS);
    showSignedOut(isFinal ? error.message : `${error instanceof Refused ? error.message : 'The broker cannot be reached.'} Trying again.`);
    return;
  }
  if (mine.caller.kind !== 'operator') {
    storage.set(TOKEN, null);
    showSignedOut('That is a workload’s token. This page is for operators.');
    return;
  }
  session?.ended.abort();
  session = mine;
  storage.set(TOKEN, token);
  showSignedIn(mine);
  await look(mine);
  const every = setInterval(() => void lookAgain(mine), LOOK_EVERY_MS);
  ended.signal.addEventListener('abort', () => clearInterval(every));
  void followEvents({
    token,
    lastEventId: storage.get(LAST_EVENT),
    signal: ended.signal,
    onState: showConnection,
    onEvent: (event) => take(mine, event),
    onRefused: (_status, problem) => signOut(problem.detail ?? 'The token is no longer accepted.'),
  });
}

async function learnWho(mine) {
  const { caller, now } = await mine.broker.whoami();
  mine.caller = caller;
  mine.now = now;
}

function signOut(why) {
  session?.ended.abort();
  session = undefined;
  storage.set(TOKEN, null);
  storage.set(LAST_EVENT, null);
  if ($('revoke-dialog').open) $('revoke-dialog').close();
  table.clear();
  $('events').replaceChildren();
  showSignedOut(why);
}

// --- events ---

function take(mine, { id, type, data }) {
  if (session !== mine) return;
  if (id !== null) storage.set(LAST_EVENT, id);
  if (type === 'position') {
    // A fresh stream begins here: what happened between our last look and this is not in it.
    mine.all = true;
    gather(mine);
    return;
  }
  note(type, data);
  if (type === 'resync') mine.all = true;
  for (const lease of data.leases ?? []) mine.dirty.add(lease);
  gather(mine);
}

function gather(mine) {
  mine.gathering ??= setTimeout(() => {
    mine.gathering = undefined;
    void look(mine);
  }, GATHER_MS);
}

async function lookAgain(mine) {
  mine.all = true;
  await learnWho(mine).then(() => showWho(mine)).catch(() => undefined);
  await look(mine);
}

/** Asks for what has changed. The table shows what the broker answers, never what an event made us think. */
async function look(mine) {
  if (mine.looking) {
    gather(mine);
    return;
  }
  mine.looking = true;
  const ids = [...mine.dirty];
  const all = mine.all || ids.length > ONE_BY_ONE;
  mine.dirty.clear();
  mine.all = false;
  try {
    if (all) {
      const { leases, isAll } = await mine.broker.liveLeases();
      if (session !== mine) return;
      table.take(leases, true);
      $('more').hidden = isAll;
    } else {
      const leases = await Promise.all(ids.map((id) => mine.broker.lease(id)));
      if (session !== mine) return;
      leases.forEach((lease, index) => (lease === null ? table.remove(ids[index]) : table.take([lease], false)));
    }
    $('problem').textContent = '';
    mine.looked = true;
    tick();
  } catch (error) {
    if (session !== mine) return;
    if (error instanceof Refused && error.status === 401) {
      signOut(error.message);
      return;
    }
    $('problem').textContent = error instanceof Refused ? `The leases cannot be read: ${error.message}` : 'The broker cannot be reached; what is shown may be old.';
    mine.all = true;
    setTimeout(() => session === mine && gather(mine), 3_000);
  } finally {
    mine.looking = false;
  }
}

const WHAT = {
  'task.declared': 'task declared', 'task.denied': 'task denied', 'task.activated': 'task began', 'task.ending': 'task ending', 'task.ended': 'task ended',
  'credential.denied': 'credential denied', 'lease.intended': 'lease intended', 'lease.activated': 'lease active', 'lease.abandoned': 'mint failed',
  'lease.revoking': 'revoking', 'lease.revoked': 'revoked', 'lease.lapsing': 'left to lapse', 'lease.lapsed': 'lapsed', 'lease.revocation_failed': 'revocation failed', 'lease.stuck': 'stuck',
  'revocation.requested': 'revocation requested', 'revocation.completed': 'revocation done', 'revocation.cancelled': 'revocation cancelled',
  'lock.created': 'locked', 'lock.lifted': 'lock lifted', 'lock.expired': 'lock expired', 'grant.locked': 'refused by a lock', resync: 'looked afresh: events were missed',
};

function note(type, data) {
  const item = document.createElement('li');
  item.dataset.type = type;
  const time = document.createElement('time');
  const at = data.at === undefined ? new Date(session.now()) : new Date(data.at);
  time.dateTime = at.toISOString();
  time.textContent = clockTime(at);
  const what = document.createElement('strong');
  what.textContent = WHAT[type] ?? type;
  const { facts = {} } = data;
  const subject = facts.credential ?? facts.credentials?.map((one) => one.credential).join(', ') ?? '';
  const about = document.createElement('span');
  about.textContent = [subject, data.agent?.subject, facts.reason, data.leases?.length === 1 ? short(data.leases[0]) : '', facts.failure]
    .filter((part) => typeof part === 'string' && part !== '')
    .join(' · ');
  item.append(time, what, about);
  $('events').prepend(item);
  while ($('events').children.length > RECENT) $('events').lastElementChild.remove();
  $('no-events').hidden = true;
}

// --- revoking ---

let wanted;

function askToRevoke(lease) {
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
}

async function revoke() {
  const mine = session;
  const reason = $('revoke-reason').value.trim();
  if (mine === undefined || wanted === undefined) return;
  if (reason === '') {
    $('revoke-problem').textContent = 'Say why: it goes on the record.';
    $('revoke-reason').focus();
    return;
  }
  $('revoke-confirm').disabled = true;
  $('revoke-problem').textContent = '';
  try {
    const whole = $('revoke-form').elements.namedItem('scope').value === 'task';
    const { revocation } = await mine.broker.revoke(whole ? { task: wanted.task_id } : { lease: wanted.id }, reason);
    $('revoke-dialog').close();
    $('said').textContent = `Revocation requested: ${revocation.progress.total} ${revocation.progress.total === 1 ? 'lease' : 'leases'}.`;
    for (const { lease_id: id } of revocation.results) mine.dirty.add(id);
    gather(mine);
  } catch (error) {
    $('revoke-problem').textContent = error instanceof Refused ? error.message : 'The broker cannot be reached. Nothing is known to have been revoked.';
    $('revoke-confirm').disabled = false;
  }
}

async function retryStuck(lease) {
  const mine = session;
  try {
    await mine.broker.retry(lease.id);
    $('said').textContent = `${lease.credential} of ${lease.agent} is being tried again.`;
    mine.dirty.add(lease.id);
    gather(mine);
  } catch (error) {
    $('problem').textContent = error instanceof Refused ? error.message : 'The broker cannot be reached.';
  }
}

// --- what is shown ---

function showSignedOut(why) {
  $('sign-in-section').hidden = false;
  $('status').hidden = true;
  $('who').hidden = true;
  $('sign-out').hidden = true;
  $('sign-in-problem').textContent = why;
  setConnection('off', 'Signed out');
  $('token').focus();
}

function showSignedIn(mine) {
  $('sign-in-section').hidden = true;
  $('status').hidden = false;
  $('who').hidden = false;
  $('sign-out').hidden = false;
  showWho(mine);
}

function showWho(mine) {
  const { subject, role, token_expires_at: until } = mine.caller;
  $('who').textContent = `${subject} · ${role}`;
  $('who').title = `The token is good until ${clockTime(Date.parse(until))}`;
  const mayRevoke = role === 'operator' || role === 'admin';
  table.allowRevoking(mayRevoke);
  $('action-heading').hidden = !mayRevoke;
  $('viewer-note').hidden = mayRevoke;
}

function showConnection(state, waitMs = 0) {
  if (state === 'open') {
    setConnection('on', 'Live');
    // What happened while we were away is told by the events themselves, or by a resync.
    $('problem').textContent = '';
  } else if (state === 'waiting') setConnection('waiting', `Cut off; trying again in ${Math.ceil(waitMs / 1000)} s`);
  else setConnection('waiting', 'Connecting');
}

function setConnection(state, text) {
  $('connection').dataset.state = state;
  $('connection-text').textContent = text;
}

function tick() {
  if (session === undefined) return;
  const counts = table.tick(session.now());
  for (const [name, count] of Object.entries(counts)) {
    $(`count-${name}`).textContent = String(count);
    $(`count-${name}`).parentElement.dataset.some = String(count > 0);
  }
  $('empty').hidden = counts.live > 0 || !session.looked;
  $('table').hidden = counts.live === 0;
  document.title = `${counts.overdue + counts.stuck > 0 ? '(!) ' : ''}${counts.live} live · Mayfly`;
}

$('most').textContent = String(MOST);
setInterval(tick, 500);
