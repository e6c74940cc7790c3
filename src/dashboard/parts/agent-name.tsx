// An agent, who answers for it, and what is wrong with its registration.
import type { Agent } from '../answers.ts';
import { useSession } from '../dashboard.ts';
import { hashOf } from '../place.ts';
import { Foreign } from './foreign.tsx';

/** The registration of an agent; null where there is none, undefined while the register is not known or nobody is in it. */
export function useRegistered(issuer: string, subject: string): Agent | null | undefined {
  const agents = useSession().agents.value.value;
  if (agents === null || agents.length === 0) return undefined;
  return agents.find((one) => one.issuer === issuer && one.subject === subject) ?? null;
}

export const markOf = (agent: Agent | null | undefined): string =>
  agent === undefined ? '' : agent === null ? 'unregistered' : agent.state === 'disabled' ? 'disabled' : agent.review_overdue ? 'review overdue' : '';

export function AgentName({ issuer, subject, tabIndex = 0 }: { readonly issuer: string; readonly subject: string; readonly tabIndex?: 0 | -1 }) {
  const agent = useRegistered(issuer, subject);
  const mark = markOf(agent);
  return (
    <>
      <a class="agent" href={hashOf('leases', null, { agent: subject })} title={`vouched for by ${issuer}`} tabIndex={tabIndex}>
        <Foreign text={subject} />
      </a>
      {agent !== undefined && agent !== null && (
        <span class="small owner" title="answers for this agent">
          <Foreign text={agent.owner} />
        </span>
      )}
      {mark !== '' && <span class="mark">{mark}</span>}
    </>
  );
}
