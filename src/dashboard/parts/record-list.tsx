// Records of the audit log, one under the other, each with all that it says.
import type { AuditRecord } from '../answers.ts';
import { textOf } from '../feed-event.ts';
import { hashOf } from '../place.ts';
import { fullTime, readable } from '../words.ts';
import { eventAbout, eventName, isAlarming } from './event-words.ts';
import { Foreign, Id } from './foreign.tsx';

export const RecordList = ({ records, label }: { readonly records: readonly AuditRecord[]; readonly label: string }) => (
  <ol class="records" aria-label={label}>
    {records.map((record) => (
      <Record key={record.id} record={record} />
    ))}
  </ol>
);

function Record({ record }: { readonly record: AuditRecord }) {
  const { at, type, task, by, facts } = record;
  return (
    <li data-type={type} data-alarming={isAlarming(type)}>
      <div class="record-head">
        <time dateTime={at}>{fullTime(at)}</time>
        <strong>{eventName(type, facts)}</strong>
        <span class="grows">
          <Foreign text={[textOf(facts, 'purpose') ?? '', eventAbout(record)].filter((part) => part !== '').join(' · ')} />
        </span>
        {task !== null && (
          <a href={hashOf('tasks', task)}>
            <Id id={task} />
          </a>
        )}
      </div>
      <Why record={record} />
      <details>
        <summary class="small">
          by <Foreign text={by.subject} />; the record
        </summary>
        <Raw value={record} />
      </details>
    </li>
  );
}

/** Why it was decided so, where something was decided. */
export function Why({ record: { facts } }: { readonly record: Pick<AuditRecord, 'facts'> }) {
  const decision = facts['decision'];
  if (typeof decision !== 'object' || decision === null) return null;
  const { result, policies, reasons, policy_version: version } = decision as Readonly<Record<string, unknown>>;
  const list = (value: unknown): string => (Array.isArray(value) ? value.map(String).join(', ') : '');
  return (
    <p class="small">
      <Foreign text={[list(policies) === '' ? `${String(result)}: no policy permits it` : `${String(result)} by ${list(policies)}`, list(reasons), typeof version === 'string' ? `policies ${version.slice(0, 19)}` : ''].filter((part) => part !== '').join(' – ')} />
    </p>
  );
}

/** JSON as it is, with what cannot be seen made visible. */
export const Raw = ({ value }: { readonly value: unknown }) => (
  <pre class="raw" tabIndex={0}>
    <code>{JSON.stringify(value, null, 2).split('\n').map((line) => readable(line)).join('\n')}</code>
  </pre>
);
