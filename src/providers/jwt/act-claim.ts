import type { LeaseIntent } from '../../ledger/lease.ts';

/** The claims of a token that say who acts and for whom (RFC 8693 section 4.1). */
export interface PartyClaims {
  readonly sub: string;
  readonly act?: ActClaim;
}

interface ActClaim {
  readonly sub: string;
  readonly act?: ActClaim;
}

/**
 * `sub` is the person on whose behalf the agent acts, or the agent that the authority began with; `act` is the agent that
 * holds the token, with those before it nested inside. Without delegation and without a person there is no `act`.
 */
export function partyClaims({ agent, chain, subject }: Pick<LeaseIntent, 'agent' | 'chain' | 'subject'>): PartyClaims {
  const agents = [...chain, agent].map((one) => one.subject);
  const [first = agent.subject, ...others] = agents;
  const actors = subject === null ? others : agents;
  const act = actors.reduce<ActClaim | undefined>((inner, sub) => ({ sub, ...(inner === undefined ? {} : { act: inner }) }), undefined);
  return { sub: subject ?? first, ...(act === undefined ? {} : { act }) };
}
