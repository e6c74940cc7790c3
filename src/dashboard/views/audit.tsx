// What was an agent authorised to do between two times, and why: asked of the audit log.
import { useState } from 'preact/hooks';
import type { Query } from '../broker.ts';
import { useDashboard } from '../dashboard.ts';
import { RecordList } from '../parts/record-list.tsx';
import { AgentStoryView } from './agent-story.tsx';
import { useRecords } from './use-records.ts';

const WORDS = ['agent', 'purpose', 'task', 'lease', 'type', 'since', 'until'] as const;
type Asked = Readonly<Partial<Record<(typeof WORDS)[number], string>>>;

const TYPES = [
  ['', 'what it might do'],
  ['all', 'every record'],
  ['task', 'tasks'],
  ['task.declared', 'declarations'],
  ['task.denied', 'denials'],
  ['lease', 'leases'],
  ['revocation', 'revocations'],
  ['lock', 'locks'],
  ['agent', 'the register'],
] as const;

export function AuditView() {
  const { router } = useDashboard();
  const asked: Asked = Object.fromEntries(WORDS.flatMap((word) => (router.place.value.query.get(word) ? [[word, router.place.value.query.get(word)]] : [])));
  const { agent, since, until, ...others } = asked;
  return (
    <section aria-labelledby="audit-title">
      <div class="view-head">
        <h2 id="audit-title">Audit</h2>
      </div>
      <p class="small note">What was an agent authorised to do, when, and why: name it, and each task is told with the rules that decided. Anything more is a search of the records.</p>
      <AuditForm key={JSON.stringify(asked)} asked={asked} />
      {agent !== undefined && Object.keys(others).length === 0 ? <AgentStoryView key={JSON.stringify(asked)} agent={agent} since={since} until={until} /> : <Found asked={asked} />}
    </section>
  );
}

function Found({ asked }: { readonly asked: Asked }) {
  const anything = Object.keys(asked).length > 0;
  // Every type is what the broker answers where none is named.
  const { items, isLoading, problem, hasMore, more } = useRecords(anything ? [{ ...(asked as Query), type: asked.type === 'all' ? undefined : asked.type, limit: 100 }] : null, 'newest', 0);
  return (
    <>
      {problem !== '' && (
        <p class="problem" role="alert">
          {problem}
        </p>
      )}
      {isLoading && <p class="small" role="status">Searching…</p>}
      {anything && !isLoading && problem === '' && items.length === 0 && <p class="card empty">Nothing on the record matches.</p>}
      <RecordList records={items} label="Records, newest first" />
      {hasMore && (
        <button type="button" class="quiet" onClick={more} disabled={isLoading}>
          Earlier ones
        </button>
      )}
    </>
  );
}

function AuditForm({ asked }: { readonly asked: Asked }) {
  const { router } = useDashboard();
  const [words, set] = useState<Asked>(asked);
  const change = (word: keyof Asked, value: string): void => set({ ...words, [word]: value });
  const text = (word: keyof Asked, label: string, first = false) => (
    <div class="field">
      <label for={`audit-${word}`}>{label}</label>
      <input id={`audit-${word}`} type="search" spellcheck={false} autocapitalize="off" data-first-filter={first ? '' : undefined} value={words[word] ?? ''} onInput={(event) => change(word, event.currentTarget.value.trim())} />
    </div>
  );
  const time = (word: 'since' | 'until', label: string) => (
    <div class="field">
      <label for={`audit-${word}`}>{label}</label>
      <input id={`audit-${word}`} type="datetime-local" step="1" value={localOf(words[word])} onInput={(event) => change(word, instantOf(event.currentTarget.value))} />
    </div>
  );
  return (
    <form
      class="filters roomy"
      role="search"
      aria-label="Search the audit log"
      onSubmit={(event) => {
        event.preventDefault();
        router.filter(words);
      }}
    >
      {text('agent', 'Agent', true)}
      {time('since', 'From')}
      {time('until', 'To')}
      {text('purpose', 'Purpose')}
      {text('task', 'Task')}
      <div class="field">
        <label for="audit-type">What</label>
        <select id="audit-type" value={words.type ?? ''} onChange={(event) => change('type', event.currentTarget.value)}>
          {TYPES.map(([type, label]) => (
            <option key={type} value={type}>
              {label}
            </option>
          ))}
        </select>
      </div>
      <button type="submit" class="main-button">
        Search
      </button>
    </form>
  );
}

/** A time as the field of a form shows it, in the reader's own zone. */
function localOf(instant: string | undefined): string {
  const ms = Date.parse(instant ?? '');
  if (Number.isNaN(ms)) return '';
  const at = new Date(ms);
  return new Date(ms - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}

function instantOf(local: string): string {
  const ms = Date.parse(local);
  return Number.isNaN(ms) ? '' : new Date(ms).toISOString();
}
