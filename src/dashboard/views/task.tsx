// One task: how far it has come, whose word it rests on, who decided by which rules, what it holds, and what hangs below it.
import { useEffect, useState } from 'preact/hooks';
import type { Approval, AuditRecord, Lease } from '../answers.ts';
import { useDashboard, useSession } from '../dashboard.ts';
import { textOf } from '../feed-event.ts';
import { isFinal } from '../lease-order.ts';
import { Facts, type Fact } from '../parts/facts.tsx';
import { RecordList, Raw, Why } from '../parts/record-list.tsx';
import { rootOf, stepsOf, treeOf } from '../task-story.ts';
import { ApprovalFacts, evidenceWords } from './approvals.tsx';
import { TaskLeases } from './task-leases.tsx';
import { TaskSteps } from './task-steps.tsx';
import { TaskTree } from './task-tree.tsx';
import { useRecords } from './use-records.ts';

export function TaskView() {
  const { router, dialog } = useDashboard();
  const { happenedTo, mayAct } = useSession();
  const id = router.place.value.id ?? '';
  const news = happenedTo(id);
  const own = useRecords([{ task: id, limit: 500 }], 'oldest', news);
  const root = rootOf(own.items, id);
  const tree = useRecords(root === null ? null : [{ tree: root, limit: 500 }], 'oldest', news);
  const leases = useLeases(own.items);
  const approval = useApproval(id, own.items, news);
  const declared = own.items.find(({ type }) => type === 'task.declared');
  const isLive = leases.some(({ state }) => !isFinal(state)) || !own.items.some(({ type }) => type === 'task.ended');

  return (
    <section aria-labelledby="task-title" class="task-view">
      <div class="view-head">
        <h2 id="task-title">
          Task <span class="mono">{id}</span>
        </h2>
        {mayAct.value && declared !== undefined && isLive && (
          <div class="together">
            <button type="button" class="revoke" onClick={() => (dialog.value = { is: 'revoke', target: { of: 'selector', selector: { task: id }, words: 'This task, with all its leases.' } })}>
              Revoke task…
            </button>
            <button type="button" class="revoke" onClick={() => (dialog.value = { is: 'revoke', target: { of: 'selector', selector: { subtree: id }, words: 'This task and all that it delegated.' } })}>
              Revoke subtree…
            </button>
          </div>
        )}
      </div>
      {own.problem !== '' && (
        <p class="problem" role="alert">
          {own.problem}
        </p>
      )}
      {declared === undefined && own.problem === '' && leases.length === 0 && <p class="card empty">{own.isLoading ? 'Asking the broker…' : 'There is no record of such a task.'}</p>}
      {declared !== undefined && <TaskSteps steps={stepsOf(own.items)} />}
      <div class="panels">
        {declared !== undefined && (
          <section class="card wide" aria-labelledby="declared-title">
            <h3 id="declared-title">What it declared, and who decided</h3>
            {approval === null ? <DeclaredFacts record={declared} /> : <ApprovalFacts approval={approval} />}
            <Decisions records={own.items} />
          </section>
        )}
        <TaskLeases leases={leases} />
        {tree.items.length > 0 && <TaskTree tasks={treeOf(tree.items)} here={id} />}
        {own.items.length > 0 && (
          <section class="card wide" aria-labelledby="records-title">
            <h3 id="records-title">On the record</h3>
            <RecordList records={own.items} label="Records of this task, oldest first" />
            {own.hasMore && (
              <button type="button" class="quiet" onClick={own.more}>
                Later ones
              </button>
            )}
            <details>
              <summary>All of it, raw</summary>
              <Raw value={own.items} />
            </details>
          </section>
        )}
      </div>
    </section>
  );
}

/** What a task declared, from its record. */
function DeclaredFacts({ record }: { readonly record: AuditRecord }) {
  const { facts, agent } = record;
  const name = (value: unknown): string | null => (typeof value === 'object' && value !== null ? textOf(value as Record<string, unknown>, 'subject') : null);
  const list = (value: unknown): string => (Array.isArray(value) ? value.map(String).join(', ') : '');
  const context = typeof facts['context'] === 'object' && facts['context'] !== null ? Object.entries(facts['context']) : [];
  const chain = Array.isArray(facts['chain']) ? facts['chain'] : [];
  const rows: readonly Fact[] = [
    ['Why, they say', textOf(facts, 'justification') ?? 'they do not say'],
    ['Agent', agent?.subject ?? '', agent?.issuer ?? ''],
    ['Asked by', name(facts['declarer']) ?? record.by.subject],
    ['On behalf of', textOf(facts, 'subject') ?? 'nobody: it acts for itself'],
    ['Evidence', evidenceWords(textOf(facts, 'evidence') ?? ''), textOf(facts, 'vouched_by') === null ? null : `vouched for by ${textOf(facts, 'vouched_by') ?? ''}`],
    ['Came through', ...chain.map((link) => name(link))],
    ['Purpose', textOf(facts, 'purpose')],
    ['To do', list(facts['actions'])],
    ['Data classes', list(facts['data_classes']) || 'none named'],
    ['Context', ...context.map(([word, value]) => `${word} = ${JSON.stringify(value)}`)],
    ['Ticket', textOf(facts, 'ticket')],
    ['Trace id', record.trace_id ?? null],
  ];
  return <Facts facts={rows} />;
}

const Decisions = ({ records }: { readonly records: readonly AuditRecord[] }) => {
  const decided = records.filter(({ facts }) => typeof facts['decision'] === 'object' && facts['decision'] !== null);
  return decided.length === 0 ? null : (
    <>
      <h4>Decided by policy</h4>
      {decided.map((record) => (
        <Why key={record.id} record={record} />
      ))}
    </>
  );
};

/** The leases of a task, those that have ended too, asked for again when something happens to it. */
function useLeases(records: readonly AuditRecord[]): readonly Lease[] {
  const { broker } = useSession();
  const [items, set] = useState<readonly Lease[]>([]);
  const ids = [...new Set(records.flatMap(({ leases }) => leases))];
  useEffect(() => {
    let isOver = false;
    void Promise.all(ids.map((id) => broker.lease(id).catch(() => null))).then((leases) => !isOver && set(leases.filter((lease) => lease !== null)));
    return () => void (isOver = true);
  }, [records]);
  return items;
}

/** What humans were asked about it; null where none was. */
function useApproval(task: string, records: readonly AuditRecord[], news: number): Approval | null {
  const { broker } = useSession();
  const [approval, set] = useState<Approval | null>(null);
  const wasAsked = records.some(({ type, facts }) => type === 'task.approved' || type === 'task.approval_denied' || facts['state'] === 'pending_approval');
  useEffect(() => {
    if (!wasAsked) return undefined;
    let isOver = false;
    broker.approval(task).then((answer) => !isOver && set(answer), () => undefined);
    return () => void (isOver = true);
  }, [task, wasAsked, news]);
  return approval;
}
