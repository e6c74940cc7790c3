// A task and all that was delegated below it.
import { useDashboard, useSession } from '../dashboard.ts';
import { Foreign, Id } from '../parts/foreign.tsx';
import { hashOf } from '../place.ts';
import type { StoryTask } from '../task-story.ts';

export function TaskTree({ tasks, here }: { readonly tasks: readonly StoryTask[]; readonly here: string }) {
  const { dialog } = useDashboard();
  const { mayAct } = useSession();
  return (
    <section class="card wide" aria-labelledby="tree-title">
      <h3 id="tree-title">Its tree</h3>
      <ol class="tree">
        {tasks.map(({ id, depth, agent, purpose, state, endReason }) => (
          <li key={id} data-task={id} data-depth={depth} style={{ '--depth': String(depth) }} aria-current={id === here ? 'true' : undefined}>
            <span class="unseen">level {depth + 1}: </span>
            <a href={hashOf('tasks', id)}>
              <Foreign text={agent?.subject ?? ''} />
            </a>
            <span>
              <Foreign text={purpose} />
            </span>
            <span class="small">
              {state}
              {endReason === null ? '' : `: ${endReason}`}
            </span>
            <Id id={id} />
            {mayAct.value && state !== 'ended' && (
              <button type="button" class="revoke" aria-label={`Revoke subtree of ${id}`} onClick={() => (dialog.value = { is: 'revoke', target: { of: 'selector', selector: { subtree: id }, words: 'This task and all that it delegated.' } })}>
                Revoke subtree…
              </button>
            )}
          </li>
        ))}
      </ol>
    </section>
  );
}
