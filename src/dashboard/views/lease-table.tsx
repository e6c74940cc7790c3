// The table of leases: however many there are, only those that can be seen are drawn; one row has the focus, and keys act on it.
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { Signal } from '@preact/signals';
import type { Lease } from '../answers.ts';
import { useDashboard, useSession } from '../dashboard.ts';
import type { LeaseList } from '../lease-list.ts';
import { useRowHeight } from '../parts/use-row-height.ts';
import { useVirtualRows } from '../parts/use-virtual-rows.ts';
import { hashOf } from '../place.ts';
import { LeaseRow, PlaceholderRow } from './lease-row.tsx';

const PAGE_ROWS = 10;
const HEAD_PX = 36;

export interface LeaseTableProps {
  readonly list: LeaseList;
  readonly selected: Signal<ReadonlySet<string>>;
  readonly onRevoke: (leases: readonly Lease[]) => void;
  readonly onRetry: (lease: Lease) => void;
}

export function LeaseTable({ list, selected, onRevoke, onRetry }: LeaseTableProps) {
  const { router, preferences } = useDashboard();
  const mayAct = useSession().mayAct.value;
  const scroller = useRef<HTMLDivElement>(null);
  const grid = useRef<HTMLDivElement>(null);
  const active = useRef<{ id: string | null; index: number }>({ id: null, index: 0 });
  const hasFocus = useRef(false);
  const wantsFocus = useRef(false);
  const [, draw] = useState(0);
  const { rowPx, isCard } = useRowHeight();

  // Read, so that the table is drawn again when the list changes.
  const version = list.version.value;
  const rows = list.rows();
  const count = Math.max(rows.length, list.hasMore.value ? (list.total.value ?? rows.length + 1) : 0);
  const index = keepPlace(active.current, rows);
  const { items, totalPx, scrollTo } = useVirtualRows(scroller, { count, rowPx, kept: index, headPx: HEAD_PX });
  const lastSeen = items.findLast((item) => item.index !== index)?.index ?? 0;

  useEffect(() => {
    if (lastSeen >= rows.length - 1 && list.hasMore.peek()) void list.more();
  }, [lastSeen, version, list.isLoading.value]);

  useLayoutEffect(() => {
    const row = grid.current?.querySelector<HTMLElement>(`[data-index="${index}"]`) ?? null;
    // What had the focus has ended: who works with the keyboard goes on at its neighbour, not at the top of the page.
    const isLost = hasFocus.current && (document.activeElement === null || document.activeElement === document.body);
    if (!wantsFocus.current && !isLost) return;
    if (row === null && rows.length > 0) return;
    wantsFocus.current = false;
    (row ?? scroller.current)?.focus({ preventScroll: true });
  });

  function move(to: number): void {
    const next = Math.max(0, Math.min(rows.length - 1, to));
    active.current = { id: rows[next]?.lease.id ?? null, index: next };
    wantsFocus.current = true;
    scrollTo(next);
    draw((times) => times + 1);
  }

  function toggle(id: string, on = !selected.peek().has(id)): void {
    const ids = new Set(selected.peek());
    if (on) ids.add(id);
    else ids.delete(id);
    selected.value = ids;
  }

  const selection = (): readonly Lease[] => [...selected.peek()].flatMap((id) => list.get(id) ?? []);

  function onKey(event: KeyboardEvent): void {
    const lease = rows[index]?.lease;
    if (event.ctrlKey || event.metaKey || event.altKey || lease === undefined) return;
    const onRow = event.target instanceof HTMLElement && event.target.getAttribute('role') === 'row';
    const steps: Readonly<Record<string, number>> = { ArrowDown: index + 1, ArrowUp: index - 1, PageDown: index + PAGE_ROWS, PageUp: index - PAGE_ROWS, Home: 0, End: rows.length - 1, ...(preferences.keys.peek() ? { j: index + 1, k: index - 1 } : {}) };
    const to = steps[event.key];
    if (to !== undefined) {
      if (event.shiftKey && mayAct) toggle(lease.id, true);
      move(to);
      if (event.shiftKey && mayAct) toggle(rows[active.current.index]?.lease.id ?? lease.id, true);
    } else if (event.key === 'Enter' && onRow) router.go(hashOf('tasks', lease.task_id));
    else if (event.key === 'Escape' && selected.peek().size > 0) selected.value = new Set();
    else if (mayAct && event.key === ' ' && onRow) toggle(lease.id);
    else if (mayAct && event.key === 'r' && preferences.keys.peek()) onRevoke(selected.peek().size > 0 ? selection() : [lease]);
    else if (mayAct && event.key === 'y' && preferences.keys.peek() && lease.state === 'stuck') onRetry(lease);
    else return;
    event.preventDefault();
  }

  return (
    <div class="lease-scroller" ref={scroller} tabIndex={-1}>
      <div
        role="grid"
        aria-label="Leases"
        aria-rowcount={count + 1}
        aria-colcount={mayAct ? 9 : 7}
        aria-multiselectable={mayAct ? true : undefined}
        class="lease-grid"
        data-may-act={mayAct}
        ref={grid}
        onKeyDown={onKey}
        onFocusIn={(event) => {
          hasFocus.current = true;
          const row = (event.target as HTMLElement).closest<HTMLElement>('[data-index]');
          const at = Number(row?.dataset['index'] ?? -1);
          if (at < 0 || at === index) return;
          active.current = { id: rows[at]?.lease.id ?? null, index: at };
          draw((times) => times + 1);
        }}
        onFocusOut={(event) => {
          // Without a successor the element itself is gone, or the window is: not somebody who has left.
          if (event.relatedTarget instanceof Node) hasFocus.current = event.currentTarget.contains(event.relatedTarget);
        }}
      >
        <Head mayAct={mayAct} />
        <div role="rowgroup" class="lease-rows" style={{ height: `${totalPx}px` }}>
          {items.map((item) => {
            const row = rows[item.index];
            if (row === undefined) return <PlaceholderRow key={`at-${item.index}`} index={item.index} startPx={item.start} heightPx={rowPx} columns={mayAct ? 9 : 7} />;
            const { lease } = row;
            return (
              <LeaseRow
                key={lease.id}
                lease={lease}
                index={item.index}
                startPx={item.start}
                heightPx={rowPx}
                isActive={item.index === index}
                isCard={isCard}
                mayAct={mayAct}
                isSelected={selected.value.has(lease.id)}
                onToggle={() => toggle(lease.id)}
                onRevoke={() => onRevoke([lease])}
                onRetry={() => onRetry(lease)}
              />
            );
          })}
        </div>
      </div>
    </div>
  );
}

/** Where the row is that keys act on: with its lease wherever that has moved, else where it was. */
function keepPlace(active: { id: string | null; index: number }, rows: ReturnType<LeaseList['rows']>): number {
  const there = rows[active.index]?.lease.id;
  if (active.id === null || there !== active.id) {
    const moved = active.id === null ? -1 : rows.findIndex(({ lease }) => lease.id === active.id);
    active.index = moved >= 0 ? moved : Math.max(0, Math.min(active.index, rows.length - 1));
    active.id = rows[active.index]?.lease.id ?? null;
  }
  return active.index;
}

const HEADINGS = ['Due in', 'State', 'Agent', 'Purpose', 'Credential', 'Provider', 'Can be ended'] as const;

const Head = ({ mayAct }: { readonly mayAct: boolean }) => (
  <div role="rowgroup" class="lease-head">
    <div role="row" aria-rowindex={1} class="lease-row">
      {mayAct && (
        <span role="columnheader">
          <span class="unseen">Selected</span>
        </span>
      )}
      {HEADINGS.map((heading) => (
        <span role="columnheader" key={heading}>
          {heading}
        </span>
      ))}
      {mayAct && (
        <span role="columnheader">
          <span class="unseen">Actions</span>
        </span>
      )}
    </div>
  </div>
);
