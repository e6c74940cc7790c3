// The register: who answers for an agent, whether somebody looked at it lately, and the switch that stops it.
import { useEffect } from 'preact/hooks';
import type { Agent } from '../answers.ts';
import { useDashboard, useSession } from '../dashboard.ts';
import { markOf } from '../parts/agent-name.tsx';
import { Foreign } from '../parts/foreign.tsx';
import { Icon } from '../parts/icon.tsx';
import { ScrollTable } from '../parts/scroll-table.tsx';
import { hashOf } from '../place.ts';
import { count } from '../words.ts';

export function AgentsView() {
  const { router } = useDashboard();
  const { agents } = useSession();
  const items = agents.value.value;
  const word = router.place.value.query.get('q') ?? '';
  // Its counts of what is live are as old as the last look.
  useEffect(() => void agents.look(), []);
  const found = (items ?? []).filter(({ subject, owner }) => `${subject}\n${owner}`.toLowerCase().includes(word.toLowerCase())).sort(byNeed);
  return (
    <section aria-labelledby="agents-title">
      <div class="view-head">
        <h2 id="agents-title">
          Agents <span class="faint">{items === null ? '' : count(items.length)}</span>
        </h2>
      </div>
      <form class="filters one" role="search" aria-label="Filter agents" onSubmit={(event) => event.preventDefault()}>
        <div class="field">
          <label for="filter-agents">Name or owner</label>
          <input id="filter-agents" type="search" data-first-filter="" value={word} onInput={(event) => router.filter({ q: event.currentTarget.value })} />
        </div>
      </form>
      {items !== null && found.length === 0 && <p class="card empty">{items.length === 0 ? 'No agent is registered: nobody answers for any of them.' : 'No agent matches.'}</p>}
      {found.length > 0 && (
        <ScrollTable class="list cards" labelledBy="agents-title">
          <thead>
            <tr>
              <th scope="col">Agent</th>
              <th scope="col">Owner</th>
              <th scope="col">State</th>
              <th scope="col">Review by</th>
              <th scope="col">Purposes</th>
              <th scope="col" class="number">
                Leases
              </th>
              <th scope="col" class="number">
                Tasks
              </th>
              <th scope="col">
                <span class="unseen">Actions</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {found.map((agent) => (
              <AgentRow key={agent.id} agent={agent} />
            ))}
          </tbody>
        </ScrollTable>
      )}
    </section>
  );
}

/** What is disabled or overdue comes first. */
const byNeed = (a: Agent, b: Agent): number => (markOf(a) === '' ? 1 : 0) - (markOf(b) === '' ? 1 : 0) || a.subject.localeCompare(b.subject);

function AgentRow({ agent }: { readonly agent: Agent }) {
  const { dialog } = useDashboard();
  const { mayAct, caller } = useSession();
  const isDisabled = agent.state === 'disabled';

  return (
    <tr data-agent={agent.id}>
      <th scope="row">
        <a href={hashOf('leases', null, { agent: agent.subject })} title={`vouched for by ${agent.issuer}`}>
          <Foreign text={agent.subject} />
        </a>
        {agent.description !== null && (
          <span class="small">
            <Foreign text={agent.description} />
          </span>
        )}
      </th>
      <td data-label="Owner">
        <Foreign text={agent.owner} />
      </td>
      <td data-label="State">
        <span class="state" data-tone={isDisabled ? 'bad' : 'good'}>
          <Icon name={isDisabled ? 'lock' : 'check'} />
          {agent.state}
        </span>
        {agent.disabled !== null && (
          <span class="small">
            <Foreign text={`${agent.disabled.by}: ${agent.disabled.reason}`} />
          </span>
        )}
      </td>
      <td data-label="Review by">
        <span>{agent.review_by}</span>
        {agent.review_overdue && (
          <span class="mark">
            <Icon name="alert" /> review overdue
          </span>
        )}
      </td>
      <td data-label="Purposes">
        <Foreign text={agent.purposes.join(', ')} />
      </td>
      <td class="number" data-label="Leases">
        <span>{count(agent.live_leases)}</span>
      </td>
      <td class="number" data-label="Tasks">
        <span>{count(agent.live_tasks)}</span>
      </td>
      <td class="action">
        <a class="button quiet" href={hashOf('audit', null, { agent: agent.subject })} aria-label={`History of ${agent.subject}`}>
          History
        </a>
        {mayAct.value && !isDisabled && (
          <button type="button" class="revoke" aria-label={`Disable: ${agent.subject}`} onClick={() => (dialog.value = { is: 'disable', agent })}>
            Disable…
          </button>
        )}
        {isDisabled && caller.value.role === 'admin' && (
          <button type="button" class="quiet" aria-label={`Enable: ${agent.subject}`} onClick={() => (dialog.value = { is: 'enable-agent', agent })}>
            Enable…
          </button>
        )}
      </td>
    </tr>
  );
}
