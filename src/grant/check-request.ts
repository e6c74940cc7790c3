import { invalidRequest, jsonPointer, type Declaration } from '../task/declaration.ts';
import type { FieldFault } from '../core/problem.ts';
import type { WorkloadId } from '../identity/caller.ts';
import { paramFaults, type CatalogEntry, type CredentialCatalog } from './credential-catalog.ts';
import type { WantedCredential } from './decide-credentials.ts';

/** A bound on a lifetime, and where it comes from. */
export interface TtlBound {
  readonly seconds: number;
  readonly because: string;
}

/** The agent a declaration is for: the caller itself, or another that only its own token can later prove to be. */
export function declaredAgent(declaration: Pick<Declaration, 'agent' | 'agent_issuer'>, caller: WorkloadId, issuers: ReadonlySet<string>): WorkloadId {
  const subject = declaration.agent ?? caller.subject;
  const issuer = declaration.agent_issuer ?? trustDomainOf(subject) ?? caller.issuer;
  if (!issuers.has(issuer)) {
    throw invalidRequest([
      declaration.agent_issuer === undefined
        ? { pointer: '/agent', detail: 'belongs to a trust domain that is not configured here' }
        : { pointer: '/agent_issuer', detail: 'is not a configured issuer or trust domain' },
    ]);
  }
  // Nobody could ever claim it: a trust domain vouches for its own SPIFFE IDs alone.
  if (issuer.startsWith('spiffe://') && trustDomainOf(subject) !== issuer) {
    throw invalidRequest([{ pointer: '/agent', detail: `is not a SPIFFE ID of ${issuer}: say in agent_issuer who vouches for it` }]);
  }
  return { issuer, subject };
}

/** `spiffe://example.org` for a SPIFFE ID, which only its own trust domain can vouch for. */
const trustDomainOf = (subject: string): string | undefined => /^spiffe:\/\/[^/]+/.exec(subject)?.[0];

/** The credentials of a declaration, each found and within its bounds. Throws `invalid_request` with every fault. */
export function checkDeclaration(
  declaration: Pick<Declaration, 'credentials'>,
  taskTtlSeconds: number,
  limits: { readonly max_ttl_seconds: number; readonly credentials_per_task: number },
  catalog: CredentialCatalog,
): WantedCredential[] {
  const faults: FieldFault[] = [];
  if (taskTtlSeconds > limits.max_ttl_seconds) faults.push({ pointer: '/ttl_seconds', detail: `must be at most ${limits.max_ttl_seconds}` });
  if (declaration.credentials.length > limits.credentials_per_task) {
    faults.push({ pointer: '/credentials', detail: `must be at most ${limits.credentials_per_task} items` });
  }
  const bound = { seconds: taskTtlSeconds, because: 'the ttl_seconds of the task' };
  const wanted = declaration.credentials.flatMap((request, index) => {
    const ttlSeconds = request.ttl_seconds ?? Math.min(taskTtlSeconds, catalog.get(request.name)?.config.max_ttl_seconds ?? taskTtlSeconds);
    const checked = checkCredential({ ...request, ttlSeconds }, bound, ['credentials', index], catalog);
    faults.push(...checked.faults);
    return checked.entry === undefined ? [] : [{ entry: checked.entry, ttlSeconds, params: request.params }];
  });
  if (faults.length > 0) throw invalidRequest(faults);
  return wanted;
}

/** One credential request against its configuration. Faults point below `at`. */
export function checkCredential(
  request: { readonly name: string; readonly ttlSeconds: number; readonly params: Readonly<Record<string, unknown>> },
  bound: TtlBound,
  at: readonly PropertyKey[],
  catalog: CredentialCatalog,
): { readonly entry: CatalogEntry | undefined; readonly faults: readonly FieldFault[] } {
  const entry = catalog.get(request.name);
  if (entry === undefined) {
    return { entry, faults: [{ pointer: jsonPointer([...at, 'name']), detail: 'is not a configured credential' }] };
  }
  const ceiling = tighter(bound, entry.config.max_ttl_seconds);
  const tooLong = request.ttlSeconds > ceiling.seconds;
  return {
    entry,
    faults: [
      ...(tooLong ? [{ pointer: jsonPointer([...at, 'ttl_seconds']), detail: `must be at most ${ceiling.seconds}, ${ceiling.because}` }] : []),
      ...paramFaults(request.params, entry.config.params, [...at, 'params']),
    ],
  };
}

const tighter = (bound: TtlBound, ownSeconds: number | undefined): TtlBound =>
  ownSeconds !== undefined && ownSeconds < bound.seconds ? { seconds: ownSeconds, because: 'the ceiling of this credential' } : bound;
