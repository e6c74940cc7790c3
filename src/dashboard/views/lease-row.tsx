// One lease in the table, or one card where there is no room for a table.
import type { Lease } from '../answers.ts';
import { AgentName } from '../parts/agent-name.tsx';
import { Foreign, Id } from '../parts/foreign.tsx';
import { LeaseState, Revocability, TimeLeft } from '../parts/lease-words.tsx';
import { hashOf } from '../place.ts';
import { readable } from '../words.ts';

export interface LeaseRowProps {
  readonly lease: Lease;
  readonly index: number;
  readonly startPx: number;
  readonly heightPx: number;
  /** It has the one tab stop of the table. */
  readonly isActive: boolean;
  readonly isCard: boolean;
  readonly mayAct: boolean;
  readonly isSelected: boolean;
  readonly onToggle: () => void;
  readonly onRevoke: () => void;
  readonly onRetry: () => void;
}

/** The row of the head comes before them, and rows are counted from 1. */
const FIRST_ROW = 2;

export function LeaseRow({ lease, index, startPx, heightPx, isActive, mayAct, isSelected, onToggle, onRevoke, onRetry }: LeaseRowProps) {
  const tab = isActive ? 0 : -1;
  const isStuck = lease.state === 'stuck';
  const cannot = lease.state === 'revoking' || lease.state === 'intended';
  const name = `${readable(lease.credential)} of ${readable(lease.agent)}`;
  return (
    <div
      role="row"
      class="lease-row"
      aria-rowindex={index + FIRST_ROW}
      aria-selected={mayAct ? isSelected : undefined}
      tabIndex={tab}
      data-index={index}
      data-lease={lease.id}
      data-state={lease.state}
      style={{ transform: `translateY(${startPx}px)`, height: `${heightPx}px` }}
    >
      {mayAct && (
        <span role="gridcell" class="pick">
          <input type="checkbox" tabIndex={tab} checked={isSelected} onChange={onToggle} aria-label={`Select ${name}`} />
        </span>
      )}
      <span role="gridcell" class="due" data-label="Due in">
        <TimeLeft lease={lease} />
      </span>
      <span role="gridcell" data-label="State" class="two">
        <LeaseState state={lease.state} />
        {lease.last_failure !== null && (
          <span class="small" title={readable(lease.last_failure)}>
            <Foreign text={lease.last_failure} />
          </span>
        )}
      </span>
      <span role="gridcell" data-label="Agent" class="two" title={readable(lease.agent)}>
        <AgentName issuer={lease.agent_issuer} subject={lease.agent} tabIndex={tab} />
      </span>
      <span role="gridcell" data-label="Purpose" class="two" title={readable(lease.purpose)}>
        <Foreign text={lease.purpose} />
        <a class="small" href={hashOf('tasks', lease.task_id)} tabIndex={tab} title={`task ${lease.task_id}`}>
          <Id id={lease.task_id} />
        </a>
      </span>
      <span role="gridcell" data-label="Credential" class="two" title={readable(lease.credential)}>
        <Foreign text={lease.credential} />
        <span class="small">{lease.kind}</span>
      </span>
      <span role="gridcell" data-label="Provider">
        <Foreign text={lease.provider} />
      </span>
      <span role="gridcell" data-label="Can be ended">
        <Revocability of={lease.revocability} />
      </span>
      {mayAct && (
        <span role="gridcell" class="action">
          {/* What is stuck has been revoked already: its target has to be asked once more. */}
          <button type="button" class="revoke" tabIndex={tab} disabled={cannot} onClick={isStuck ? onRetry : onRevoke} aria-label={`${isStuck ? 'Try again' : 'Revoke'}: ${name}`}>
            {isStuck ? 'Try again' : 'Revoke'}
          </button>
        </span>
      )}
    </div>
  );
}

/** A lease that is there and is not loaded yet. */
export const PlaceholderRow = ({ index, startPx, heightPx, columns }: { readonly index: number; readonly startPx: number; readonly heightPx: number; readonly columns: number }) => (
  <div role="row" class="lease-row placeholder" aria-rowindex={index + FIRST_ROW} style={{ transform: `translateY(${startPx}px)`, height: `${heightPx}px` }}>
    <span role="gridcell" aria-colspan={columns}>
      Loading…
    </span>
  </div>
);
