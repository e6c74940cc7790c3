import { parseTemplate } from '../../identity/claim-template.ts';
import { posesAsSpiffeId } from '../../identity/spiffe-id.ts';
import type { Config, OidcIssuerConfig } from '../config-schema.ts';
import type { RuleFault } from './rule-fault.ts';

const GITHUB = 'https://token.actions.githubusercontent.com';
/** What API servers call themselves: a token for that is in every pod, and lives up to a year. */
const API_SERVER = /^(https:\/\/)?(kubernetes(\.default(\.svc(\.[a-z0-9.-]+)?)?)?|api)(:\d+)?\/?$/i;
/** What GitHub writes where no audience is asked for: whoever of that owner runs a service could send the token on. */
const GITHUB_OWNER = /^https:\/\/([a-z0-9.-]*\.)?github\.com\/[^/]+\/?$/i;
/** A whole repository, with what ends its name: without it the pattern reaches others whose name begins the same. */
const WHOLE_REPOSITORY = /^repo:[^/:*]+\/[^/:*]+:/;

/** Rules of each platform's issuers, and of how claims become names. Pure. */
export function profileFaults({ identity }: Config): RuleFault[] {
  return identity.issuers.flatMap((issuer, index) => {
    const audience = issuer.audience ?? identity.audience;
    return [...platformFaults(issuer, audience), ...misplacedFaults(issuer), ...templateFaults(issuer)].map(({ key, detail }) => ({ key: ['identity', 'issuers', index, ...key], detail }));
  });
}

function platformFaults(issuer: OidcIssuerConfig, audience: string): RuleFault[] {
  const faults: RuleFault[] = [];
  if (issuer.profile !== 'github_actions' && issuer.issuer.startsWith(GITHUB)) {
    faults.push({ key: ['profile'], detail: 'must be github_actions for this issuer: by names alone, who takes over a name takes over its rights' });
  }
  if (issuer.profile === 'kubernetes' && (API_SERVER.test(audience) || audience === issuer.issuer)) {
    faults.push({ key: ['audience'], detail: "must be Mayfly's own: tokens for the API server's are in every pod" });
  }
  if (issuer.profile !== 'github_actions') return faults;
  if (GITHUB_OWNER.test(audience)) faults.push({ key: ['audience'], detail: "must be Mayfly's own, not GitHub's default, which names the owner of the repository" });
  if (issuer.repositories === undefined) faults.push({ key: ['repositories'], detail: 'is required with the profile github_actions: everybody there has tokens of this issuer' });
  for (const [position, repository] of (issuer.repositories ?? []).entries()) {
    if (repository.repository_id === undefined && repository.repository_owner_id === undefined) {
      faults.push({ key: ['repositories', position], detail: 'needs repository_id or repository_owner_id: names can be taken over' });
    }
  }
  for (const [position, pattern] of (issuer.subjects ?? []).entries()) {
    if (pattern.endsWith('*') && !WHOLE_REPOSITORY.test(pattern)) {
      faults.push({ key: ['subjects', position], detail: 'could match another repository: end the name of the repository with `:`' });
    }
  }
  return faults;
}

/** Keys that this profile would pass over in silence. */
function misplacedFaults(issuer: OidcIssuerConfig): RuleFault[] {
  const owners = { service_accounts: 'kubernetes', token_review: 'kubernetes', repositories: 'github_actions' } as const;
  const faults = Object.entries(owners).flatMap(([key, profile]) =>
    issuer[key as keyof typeof owners] === undefined || issuer.profile === profile ? [] : [{ key: [key], detail: `is for the profile ${profile} only` }],
  );
  return issuer.profile === 'generic' || issuer.instance_claim === undefined ? faults : [...faults, { key: ['instance_claim'], detail: `is for the profile generic only; ${issuer.profile} knows its instances` }];
}

function templateFaults(issuer: OidcIssuerConfig): RuleFault[] {
  return (['agent', 'owner', 'environment'] as const).flatMap((key) => {
    const text = issuer[key];
    if (text === undefined) return [];
    const parsed = parseTemplate(text);
    if (typeof parsed === 'string') return [{ key: [key], detail: parsed }];
    return key === 'agent' && posesAsSpiffeId(text) ? [{ key: [key], detail: 'must not make SPIFFE IDs; those are for trust domains to give out' }] : [];
  });
}
