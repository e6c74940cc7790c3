import { invalidRequest, jsonPointer, type Declaration } from '../task/declaration.ts';
import { Problem, type FieldFault } from '../core/problem.ts';
import type { Workload } from '../identity/caller.ts';
import { paramFaults, type CatalogEntry, type CredentialCatalog } from './credential-catalog.ts';
import type { WantedCredential } from './decide-credentials.ts';

/** A bound on a lifetime, and where it comes from. */
export interface TtlBound {
  readonly seconds: number;
  readonly because: string;
}

/** Refuses what a declaration may say but this version does not do. Throws `not_supported`. */
export function refuseUnsupported(declaration: Declaration, caller: Workload): void {
  if (declaration.agent !== undefined && declaration.agent !== caller.subject) {
    throw new Problem('not_supported', 'declaring for another agent is not supported in this version', {
      errors: [{ pointer: '/agent', detail: 'must be the caller itself, or left out' }],
    });
  }
  if (declaration.start !== 'now') {
    throw new Problem('not_supported', 'a later claim is not supported in this version', {
      errors: [{ pointer: '/start', detail: 'must be now, or left out' }],
    });
  }
}

/** The credentials of a declaration, each found and within its bounds. Throws `invalid_request` with every fault. */
export function checkDeclaration(
  declaration: Declaration,
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
