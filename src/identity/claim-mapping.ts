import type { JWTPayload } from 'jose';
import type { OidcIssuerConfig } from '../config/config-schema.ts';
import type { WorkloadAttributes } from './caller.ts';
import { fillTemplate, parseTemplate } from './claim-template.ts';
import { posesAsSpiffeId } from './spiffe-id.ts';
import { refused } from './verify-token.ts';

type Mapping = Pick<OidcIssuerConfig, 'agent' | 'owner' | 'environment'>;

/** As a subject: it becomes a name in records and at targets. */
const NAME = /^\P{Cc}{1,2048}$/u;

/** Names an agent, its owner and its environment from claims, as an issuer is configured. Throws `TypeError` for templates that are none. */
export function claimMapping(mapping: Mapping) {
  const [agent, owner, environment] = [mapping.agent, mapping.owner, mapping.environment].map((text) => {
    const parsed = text === undefined ? undefined : parseTemplate(text);
    if (typeof parsed === 'string') throw new TypeError(parsed);
    return parsed;
  });
  return {
    /** Throws `invalid_token` for claims that name nobody, and for whoever would pose as a member of a trust domain. */
    agentOf(subject: string, claims: JWTPayload): string {
      if (agent === undefined) return subject;
      const name = fillTemplate(agent, claims);
      if (name === undefined || !NAME.test(name)) throw refused('it lacks a claim that its agent is named by');
      if (posesAsSpiffeId(name)) throw refused('its claims make a SPIFFE ID, which only its trust domain gives out');
      return name;
    },
    /** Undefined where the issuer is configured for none. */
    attributesOf(claims: JWTPayload): WorkloadAttributes | undefined {
      if (owner === undefined && environment === undefined) return undefined;
      const filled = (template: typeof owner): string | null => (template === undefined ? null : (fillTemplate(template, claims) ?? null));
      return { owner: filled(owner), environment: filled(environment) };
    },
  };
}
