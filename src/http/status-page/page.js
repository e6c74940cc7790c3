// The status page: signs in with a pasted token, shows what waits and what lives, follows the events, decides and revokes.
import { createApprovalDialog } from './approval-dialog.js';
import { createApprovalList } from './approval-list.js';
import { connectBroker, MOST, Refused } from './broker.js';
import { followEvents } from './event-source.js';
import { createLeaseTable } from './lease-table.js';
import { createRecentEvents } from './recent-events.js';
import { createRegisteredAgents } from './registered-agents.js';
import { createRevokeDialog } from './revoke-dialog.js';
import { tabStorage } from './tab-storage.js';
import { clockTime } from './words.js';

/** What this tab keeps. */
const TOKEN = 'mayfly.token';
const LAST_EVENT = 'mayfly.last-event';
/** Events of many leases within this time are one look at the broker. */
const GATHER_MS = 150;
/** More leases than this have changed: look at all of them at once. */
const ONE_BY_ONE = 20;
/** Should events ever stop coming, the table is still not older than this. */
const LOOK_EVERY_MS = 30_000;
const RETRY_MS = 3_000;

const $ = (id) => document.getElementById(id);

/** The register as far as it is known in this session; nothing of it while signed out. */
const agentOf = (issuer, subject) => session?.agents.of(issuer, subject) ?? null;
const revokeDialog = createRevokeDialog({
  revoke: (selector, reason) => session.broker.revoke(selector, reason),
  onRequested({ progress, results }) {
    $('said').textContent = `Revocation requested: ${progress.total} ${progress.total === 1 ? 'lease' : 'leases'}.`;
    for (const { lease_id: id } of results) session?.dirty.add(id);
    if (session !== undefined) gather(session);
  },
});
const approvalDialog = createApprovalDialog({
  decide: (id, answer) => session.broker.decide(id, answer),
  onDecided(said) {
    $('said').textContent = said;
    if (session === undefined) return;
    session.waiting = true;
    gather(session);
  },
});
const table = createLeaseTable({ body: $('leases'), agentOf, onRevoke: (lease) => revokeDialog.ask(lease), onRetry: (lease) => void retryStuck(lease) });
const approvals = createApprovalList({ list: $('approvals'), agentOf, onDecide: (approval, decision) => approvalDialog.ask(approval, decision) });
const recent = createRecentEvents({ list: $('events'), none: $('no-events') });
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
for (const button of document.querySelectorAll('[data-copy]')) {
  button.addEventListener('click', () => {
    void navigator.clipboard?.writeText($(button.dataset.copy).textContent).then(() => {
      button.textContent = 'Copied';
    });
  });
}

const kept = tabStorage.get(TOKEN);
if (kept === null) showSignedOut('');
else void signIn(kept);

async function signIn(token) {
  const ended = new AbortController();
  const broker = connectBroker(token);
  const mine = { token, broker, agents: createRegisteredAgents(broker), ended, dirty: new Set(), all: true, waiting: true, now: () => Date.now() };
  clearTimeout(retry);
  try {
    await learnWho(mine);
  } catch (error) {
    const isFinal = error instanceof Refused && error.status < 500;
    if (isFinal) tabStorage.set(TOKEN, null);
    else retry = setTimeout(() => void signIn(token), RETRY_MS);
    showSignedOut(isFinal ? error.message : `${error instanceof Refused ? error.message : 'The broker cannot be reached.'} Trying again.`);
    return;
  }
  if (mine.caller.kind !== 'operator') {
    tabStorage.set(TOKEN, null);
    showSignedOut('That is a workload’s token. This page is for operators.');
    return;
  }
  session?.ended.abort();
  session = mine;
  tabStorage.set(TOKEN, token);
  showSignedIn(mine);
  await look(mine);
  const every = setInterval(() => void lookAgain(mine), LOOK_EVERY_MS);
  ended.signal.addEventListener('abort', () => clearInterval(every));
  void followEvents({
    token,
    lastEventId: tabStorage.get(LAST_EVENT),
    signal: ended.signal,
    onState: (state, waitMs) => showConnection(mine, state, waitMs),
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
  tabStorage.set(TOKEN, null);
  tabStorage.set(LAST_EVENT, null);
  revokeDialog.close();
  approvalDialog.close();
  table.clear();
  approvals.clear();
  recent.clear();
  $('said').textContent = '';
  showSignedOut(why);
}

// --- events ---

function take(mine, { id, type, data }) {
  if (session !== mine) return;
  if (id !== null) tabStorage.set(LAST_EVENT, id);
  if (type === 'position') {
    // A fresh stream begins here: what happened between our last look and this is not in it.
    mine.all = true;
    gather(mine);
    return;
  }
  recent.add(type, data, mine.now());
  if (type === 'resync') mine.all = true;
  if (type === 'resync' || type.startsWith('agent.')) mine.agents.expire();
  if (changesWaiting(type, data)) mine.waiting = true;
  for (const lease of data.leases ?? []) mine.dirty.add(lease);
  gather(mine);
}

/** Whether something has begun or ceased to wait for a human, or was approved by one of several. */
const changesWaiting = (type, data) =>
  type === 'task.declared' ? data.facts?.state === 'pending_approval'
  : type === 'task.ended' ? approvals.has(data.task)
  : type === 'task.approved' || type === 'task.approval_denied';

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
  const waiting = mine.all || mine.waiting;
  mine.dirty.clear();
  mine.all = false;
  mine.waiting = false;
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
    if (waiting) {
      const asked = await mine.broker.waiting();
      if (session !== mine) return;
      approvals.take(asked.approvals);
      approvalDialog.keepOnly(approvals.has);
      $('more-waiting').hidden = asked.isAll;
    }
    $('problem').textContent = '';
    mine.looked = true;
    tick();
    void showAgents(mine);
  } catch (error) {
    if (session !== mine) return;
    if (error instanceof Refused && error.status === 401) {
      signOut(error.message);
      return;
    }
    $('problem').textContent = error instanceof Refused ? `The broker does not say what there is: ${error.message}` : 'The broker cannot be reached; what is shown may be old.';
    mine.all = true;
    setTimeout(() => session === mine && gather(mine), 3_000);
  } finally {
    mine.looking = false;
  }
}

/** Beside what is there already: nobody waits for the register to see a lease. */
async function showAgents(mine) {
  const learned = await mine.agents.learn([...table.agents(), ...approvals.agents()]).catch(() => mine.agents.expire());
  if (learned !== true || session !== mine) return;
  table.showAgents();
  approvals.refill();
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
  const mayAct = role === 'operator' || role === 'admin';
  table.allowRevoking(mayAct);
  $('action-heading').hidden = !mayAct;
  $('viewer-note').hidden = mayAct;
  approvals.allowDeciding(mayAct);
  $('decide-note').hidden = mayAct;
}

function showConnection(mine, state, waitMs = 0) {
  if (state === 'open') {
    setConnection('on', 'Live');
    // What happened while we were away is told by the events themselves, or by a resync.
    $('problem').textContent = '';
    // A broker that was started again may know other agents.
    mine.agents.expire();
    gather(mine);
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
  const waiting = approvals.tick(session.now());
  $('waiting').hidden = waiting === 0;
  sayOnce($('waiting-said'), waiting === 0 ? '' : `${waiting} ${waiting === 1 ? 'task waits' : 'tasks wait'} for approval`);
  document.title = `${counts.overdue + counts.stuck > 0 ? '(!) ' : ''}${waiting > 0 ? `${waiting} waiting, ` : ''}${counts.live} live · Mayfly`;
}

/** A status that is written again is read out again. */
function sayOnce(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

$('most').textContent = String(MOST);
setInterval(tick, 500);
