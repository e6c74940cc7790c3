// How far a task has come, from its declaration to the proof that nothing of it is left.
import { Icon } from '../parts/icon.tsx';
import { Foreign } from '../parts/foreign.tsx';
import type { Step } from '../task-story.ts';
import { clockTime } from '../words.ts';

export const TaskSteps = ({ steps }: { readonly steps: readonly Step[] }) => (
  <ol class="steps" aria-label="How far it has come">
    {steps.map(({ name, at, isPartial, words }) => {
      const state = at === null ? 'to-come' : isPartial ? 'partly' : 'done';
      return (
        <li key={name} data-step={name} data-state={state}>
          <Icon name={state === 'done' ? 'check' : state === 'partly' ? 'half' : 'ring'} />
          <span>
            <strong>{name}</strong>
            {state !== 'done' && <span class="unseen"> ({state === 'partly' ? 'in part' : 'not yet'})</span>}
            {at !== null && <time dateTime={at}>{clockTime(Date.parse(at))}</time>}
            {words !== '' && (
              <span class="small">
                <Foreign text={words} />
              </span>
            )}
          </span>
        </li>
      );
    })}
  </ol>
);
