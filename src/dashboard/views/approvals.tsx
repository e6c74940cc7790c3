// What waits for a human: a card for each task, all that it declares, and the two buttons of whoever may decide.
import { useRef, useEffect } from 'preact/hooks';
import type { Approval } from '../answers.ts';
import { useDashboard, useSession } from '../dashboard.ts';
import { markOf, useRegistered } from '../parts/agent-name.tsx';
import { Facts, type Fact } from '../parts/facts.tsx';
import { Foreign } from '../parts/foreign.tsx';
import { Until } from '../parts/lease-words.tsx';
import { hashOf } from '../place.ts';
import { clockTime, duration, readable } from '../words.ts';

export function ApprovalsView() {
  const { approvals, mayAct } = useSession();
  const list = useRef<HTMLUListElement>(null);
  const hadFocus = useRef(false);
  const page = approvals.value.value;
  const items = page?.items ?? [];

  useEffect(() => {
    // The card that had the focus is gone: who works with the keyboard goes on at the next one.
    if (hadFocus.current && document.activeElement === document.body) (list.current?.querySelector('button') ?? document.querySelector<HTMLElement>('main'))?.focus();
  }, [items.length]);

  return (
    <section aria-labelledby="approvals-title">
      <div class="view-head">
        <h2 id="approvals-title">
          Waiting for approval <span class="faint">{page === null ? '' : items.length}</span>
        </h2>
      </div>
      {!mayAct.value && <p class="small note">You may look. To decide takes the role operator.</p>}
      {page !== null && items.length === 0 && <p class="card empty">Nothing waits for a human.</p>}
      <ul
        class="approvals"
        ref={list}
        onFocusIn={() => (hadFocus.current = true)}
        onFocusOut={(event) => {
          if (event.relatedTarget instanceof Node) hadFocus.current = event.currentTarget.contains(event.relatedTarget);
        }}
      >
        {items.map((approval) => (
          <ApprovalCard key={approval.id} approval={approval} />
        ))}
      </ul>
      {page !== null && page.next_cursor !== null && <p class="small">Only the oldest are shown: more wait.</p>}
    </section>
  );
}

function ApprovalCard({ approval }: { readonly approval: Approval }) {
  const { dialog, clock } = useDashboard();
  const { mayAct } = useSession();
  const { id, envelope, risk, waits_until: waitsUntil } = approval;
  const isOver = waitsUntil === null || Date.parse(waitsUntil) <= clock.tick.value;
  const name = readable(`${envelope.purpose} of ${envelope.agent.subject}`);
  return (
    <li class="card approval" data-task={id} data-risk={risk} aria-labelledby={`waits-${id}`}>
      <div class="approval-head">
        <h3 id={`waits-${id}`}>
          <Foreign text={envelope.agent.subject} /> for <Foreign text={envelope.purpose} />
        </h3>
        <span class="risk">risk: {risk}</span>
        {waitsUntil !== null && <Until at={waitsUntil} over="time is up" suffix=" left" />}
      </div>
      <ApprovalFacts approval={approval} />
      {mayAct.value && (
        <div class="together">
          <button type="button" class="main-button" disabled={isOver} aria-label={`Approve: ${name}`} onClick={() => (dialog.value = { is: 'approval', approval, decision: 'approve' })}>
            Approve…
          </button>
          <button type="button" class="revoke" disabled={isOver} aria-label={`Deny: ${name}`} onClick={() => (dialog.value = { is: 'approval', approval, decision: 'deny' })}>
            Deny…
          </button>
        </div>
      )}
    </li>
  );
}

const EVIDENCE: Readonly<Record<string, string>> = {
  self_declared: 'nothing but the declarer’s own word',
  orchestrator_signed: 'signed by an orchestrator',
  user_consented: 'the person consented',
  approved: 'approved by humans',
};

export const evidenceWords = (evidence: string): string => `${EVIDENCE[evidence] ?? ''} (${evidence})`;

/** What an approval would be of, in full. */
export function ApprovalFacts({ approval }: { readonly approval: Approval }) {
  const { id, envelope, task, envelope_digest: digest, approvals, approvals_needed: needed, approved_by: approvedBy } = approval;
  const agent = useRegistered(envelope.agent.issuer, envelope.agent.subject);
  const facts: readonly Fact[] = [
    ['Why, they say', envelope.justification === null ? 'they do not say' : <q key="why"><Foreign text={envelope.justification} /></q>],
    ['Agent', <Who key="agent" {...envelope.agent} />],
    ['Its owner', agent === undefined ? null : [agent?.owner ?? '', markOf(agent)].filter((word) => word !== '').join(', ')],
    ['Asked by', <Who key="declarer" {...envelope.declarer} />],
    ['On behalf of', envelope.subject ?? 'nobody: it acts for itself'],
    ['Evidence', evidenceWords(task.evidence), envelope.vouched_by === null ? null : `vouched for by ${envelope.vouched_by}`],
    ['Came through', ...envelope.chain.map((one, index) => <Who key={`chain-${index}`} {...one} />)],
    ['To do', envelope.actions.join(', ')],
    ['Data classes', envelope.data_classes.join(', ') || 'none named'],
    ['Context', ...pairs(envelope.context)],
    ['Credentials', ...envelope.credentials.map(({ name, ttl_seconds: ttl, params }) => [`${name} for ${duration(ttl * 1000)}`, ...pairs(params)].join(', '))],
    ['Task lives for', duration(envelope.ttl_seconds * 1000)],
    ['Heartbeat', envelope.heartbeat_seconds === null ? null : `every ${duration(envelope.heartbeat_seconds * 1000)}`],
    ['Part of', envelope.parent === null ? null : <a key="parent" class="mono" href={hashOf('tasks', envelope.parent)}>{envelope.parent}</a>],
    ['Ticket', envelope.ticket],
    ['Approved', `${approvals} of ${needed}`, ...approvedBy.map(({ subject, at, note }) => `${subject} at ${clockTime(Date.parse(at))}${note === null ? '' : `: ${note}`}`)],
    ['Task', <a key="task" class="mono" href={hashOf('tasks', id)}>{id}</a>],
    ['Digest', <span key="digest" class="mono">{digest}</span>],
  ];
  return <Facts facts={facts} />;
}

const Who = ({ issuer, subject }: { readonly issuer: string; readonly subject: string }) => (
  <span>
    <Foreign text={subject} />{' '}
    <span class="small">
      <Foreign text={issuer} />
    </span>
  </span>
);

/** Text keeps its quotes: `"1"` and `1` are not the same to policy. */
const pairs = (record: Readonly<Record<string, string | number | boolean>>): string[] => Object.entries(record).map(([name, value]) => `${name} = ${JSON.stringify(value)}`);
