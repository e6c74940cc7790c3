// What an agent was authorised to do in a time, task by task, and all that it was refused: each with the rules that decided.
import { useEffect, useState } from 'preact/hooks';
import type { AgentStory, StoryRefusal, StoryTask } from '../answers.ts';
import { saidOf } from '../broker.ts';
import { useSession } from '../dashboard.ts';
import { Facts, type Fact } from '../parts/facts.tsx';
import { Foreign, Id } from '../parts/foreign.tsx';
import { hashOf } from '../place.ts';
import { clockTime, fullTime, seconds } from '../words.ts';

export interface StoryQuestion {
  readonly agent: string;
  readonly since: string | undefined;
  readonly until: string | undefined;
}

export function AgentStoryView({ agent, since, until }: StoryQuestion) {
  const { broker } = useSession();
  const [pages, set] = useState<readonly AgentStory[]>([]);
  const [problem, setProblem] = useState('');
  const [isLoading, setLoading] = useState(false);
  const load = async (cursor: string | undefined, before: readonly AgentStory[]): Promise<void> => {
    setLoading(true);
    try {
      set([...before, await broker.story({ agent, since, until, cursor })]);
      setProblem('');
    } catch (error) {
      setProblem(saidOf(error));
    }
    setLoading(false);
  };
  useEffect(() => void load(undefined, []), []);
  const [first] = pages;
  const items = pages.flatMap((page) => page.items);
  const next = pages.at(-1)?.next_cursor ?? null;
  return (
    <>
      {problem !== '' && (
        <p class="problem" role="alert">
          {problem}
        </p>
      )}
      {isLoading && items.length === 0 && <p class="small" role="status">Searching…</p>}
      {first !== undefined && (
        <p class="small note" role="status">
          <Foreign text={first.agent} /> from {fullTime(first.since)} to {fullTime(first.until)}
          {first.record_begins_at !== null && Date.parse(first.record_begins_at) > Date.parse(first.since) && `; the record that is here begins at ${fullTime(first.record_begins_at)}`}.{' '}
          <a href={hashOf('audit', null, { agent, since, until, type: 'all' })}>Every record</a>
        </p>
      )}
      {first !== undefined && items.length === 0 && <p class="card empty">It was authorised to do nothing, and asked for nothing.</p>}
      <ol class="story" aria-label="What it was authorised to do, and what it was refused">
        {items.map((item) => (item.kind === 'task' ? <TaskOfStory key={item.seq} task={item} /> : <RefusalOfStory key={item.seq} refusal={item} />))}
      </ol>
      {next !== null && (
        <button type="button" class="quiet" onClick={() => void load(next, pages)} disabled={isLoading}>
          Later ones
        </button>
      )}
    </>
  );
}

const decided = (one: StoryTask['decisions'][number]): string =>
  [`${clockTime(Date.parse(one.at))} ${one.result} by ${one.policies.join(', ') || one.by}`, one.reasons.join(', ')].filter((part) => part !== '').join(': ');

const lived = (one: StoryTask['leases'][number]): string =>
  [
    one.credential,
    one.granted_at === null ? 'never handed over' : `from ${clockTime(Date.parse(one.granted_at))}`,
    one.ended_at === null ? one.outcome : `${one.outcome} at ${clockTime(Date.parse(one.ended_at))}`,
    (one.exposure_seconds ?? 0) > 0 ? `usable too long by at most ${seconds(one.exposure_seconds)}` : '',
  ]
    .filter((part) => part !== '')
    .join(', ');

function TaskOfStory({ task }: { readonly task: StoryTask }) {
  const facts: readonly Fact[] = [
    ['Might', `${task.actions.join(', ')}${task.data_classes.length === 0 ? '' : `: ${task.data_classes.join(', ')}`}`],
    ['Because', ...task.decisions.map(decided)],
    ['With', ...task.leases.map(lived)],
    ['On whose word', task.evidence, task.vouched_by === null ? null : `vouched for by ${task.vouched_by}`],
    ['Asked by', task.declarer, task.subject === null ? null : `on behalf of ${task.subject}`],
    ['Through', task.chain.join(' → ')],
    ['Why, they say', task.justification],
    ['Ticket', task.ticket],
    ['Says it did', ...task.tool_calls.map(({ tool, outcome }) => [tool ?? '', outcome ?? ''].filter((part) => part !== '').join(': '))],
    ['Handed on to', ...task.handed_on.map(({ agent }) => agent)],
    ['Ended', task.ended_at === null ? null : `${fullTime(task.ended_at)}${task.end_reason === null ? '' : `: ${task.end_reason}`}${task.ended_by === null ? '' : ` by ${task.ended_by}`}`],
  ];
  return (
    <li class="card" data-task={task.task}>
      <div class="record-head">
        <time dateTime={task.declared_at}>{fullTime(task.declared_at)}</time>
        <strong>
          <Foreign text={task.purpose} />
        </strong>
        <span class="grows" />
        <a href={hashOf('tasks', task.task)}>
          <Id id={task.task} />
        </a>
      </div>
      <Facts facts={facts} />
    </li>
  );
}

const RefusalOfStory = ({ refusal }: { readonly refusal: StoryRefusal }) => (
  <li class="card" data-alarming="true" data-refusal={refusal.seq}>
    <div class="record-head">
      <time dateTime={refusal.at}>{fullTime(refusal.at)}</time>
      <strong>refused</strong>
      <Foreign text={[refusal.purpose ?? '', refusal.actions.join(', '), refusal.credentials.join(', ')].filter((part) => part !== '').join(' · ')} />
    </div>
    <p class="small">
      <Foreign text={[refusal.policies.length === 0 ? `${refusal.result}: no policy permits it` : `${refusal.result} by ${refusal.policies.join(', ')}`, refusal.reasons.join(', ')].filter((part) => part !== '').join(': ')} />
    </p>
  </li>
);
