import type { Evidence, FoundEvidence } from './evidence.ts';
import type { GrantedLease } from './granted-leases.ts';

/** One credential as one agent used it for one purpose. */
export interface CredentialUsage {
  readonly credential: string;
  readonly kind: string;
  readonly leases: number;
  readonly used: number;
  /** Not used, as far as a source that would have seen it tells. */
  readonly unused: number;
  /** No given source would have seen its use. */
  readonly unknown: number;
  readonly asked_seconds: { readonly median: number; readonly most: number };
  /** From the grant to the last sign of use. */
  readonly used_seconds_p95: number | null;
  readonly actions: { readonly declared: readonly string[]; readonly exercised: readonly string[]; readonly not_exercised: readonly string[]; readonly cannot_tell: readonly string[] };
  /** What was done, by name, and how often. */
  readonly did: Readonly<Record<string, number>>;
  readonly objects: readonly string[];
  readonly refused: number;
}

export type Proposal =
  | { readonly propose: 'drop_credential'; readonly credential: string; readonly because: string }
  | { readonly propose: 'shorten'; readonly credential: string; readonly ttl_seconds: number; readonly because: string }
  | { readonly propose: 'drop_actions'; readonly actions: readonly string[]; readonly because: string };

export interface UsageGroup {
  readonly agent: string;
  readonly purpose: string;
  readonly credentials: readonly CredentialUsage[];
  readonly proposals: readonly Proposal[];
}

export interface UsageSources {
  readonly toolCalls: readonly Evidence[];
  /** Null where no files of that kind were given. */
  readonly postgres: FoundEvidence | null;
  readonly cloudTrail: FoundEvidence | null;
}

/** Lifetimes are proposed in steps of this many seconds. */
const STEP_SECONDS = 30;

/**
 * Joins what was granted with what was seen of it, by lease. Nothing is proposed on fewer than `minLeases` leases, nor on
 * those whose use no given source would have seen: that nothing was seen proves nothing then.
 */
export function reportUsage(leases: readonly GrantedLease[], sources: UsageSources, minLeases: number): UsageGroup[] {
  const evidence = Map.groupBy([...sources.toolCalls, ...(sources.postgres?.evidence ?? []), ...(sources.cloudTrail?.evidence ?? [])], ({ lease }) => lease);
  const groups = Map.groupBy(leases, ({ agent, purpose }) => JSON.stringify([agent, purpose]));
  return [...groups.values()].map((own) => {
    const byCredential = [...Map.groupBy(own, ({ credential }) => credential).values()];
    const credentials = byCredential.map((some) => usageOf(some, evidence, sources)).sort((a, b) => a.credential.localeCompare(b.credential));
    const [{ agent, purpose } = { agent: '', purpose: '' }] = own;
    return { agent, purpose, credentials, proposals: proposalsFor(credentials, minLeases) };
  });
}

function usageOf(leases: readonly GrantedLease[], evidence: ReadonlyMap<string, readonly Evidence[]>, sources: UsageSources): CredentialUsage {
  const seen = leases.map((lease) => ({ lease, signs: evidence.get(lease.id) ?? [] }));
  const used = seen.filter(({ signs }) => signs.length > 0);
  const unused = seen.filter(({ lease, signs }) => signs.length === 0 && wouldHaveSeen(lease, sources));
  const signs = used.flatMap((one) => one.signs);
  const unknown = leases.length - used.length - unused.length;
  const lasted = used.flatMap((one) => {
    const times = one.signs.flatMap(({ atMs }) => (atMs === null ? [] : [atMs]));
    return times.length === 0 ? [] : [Math.max(0, (Math.max(...times) - one.lease.createdMs) / 1000)];
  });
  const asked = leases.map(({ createdMs, dueMs }) => Math.round((dueMs - createdMs) / 1000));
  const [first] = leases;
  return {
    credential: first?.credential ?? '',
    kind: first?.kind ?? '',
    leases: leases.length,
    used: used.length,
    unused: unused.length,
    unknown,
    asked_seconds: { median: quantile(asked, 0.5) ?? 0, most: Math.max(...asked) },
    used_seconds_p95: quantile(lasted, 0.95),
    actions: actionsOf([...new Set(leases.flatMap(({ actions }) => actions))].sort(), signs, unknown === 0 && seen.every(({ lease }) => wouldHaveSeen(lease, sources))),
    did: Object.fromEntries([...Map.groupBy(signs, ({ what }) => what)].map(([what, some]) => [what, some.length])),
    objects: [...new Set(signs.flatMap(({ objects }) => objects))].sort(),
    refused: signs.filter(({ refused }) => refused).length,
  };
}

/** Only `read` and `write` can be told from what was done; what was refused was not exercised. */
function actionsOf(declared: readonly string[], signs: readonly Evidence[], everythingSeen: boolean): CredentialUsage['actions'] {
  const effects = new Set<string>(signs.filter(({ refused }) => !refused).map(({ effect }) => effect));
  const tellable = (word: string): boolean => word === 'read' || word === 'write';
  const exercised = declared.filter((word) => tellable(word) && effects.has(word));
  // What cannot be judged could have been anything.
  const not = declared.filter((word) => tellable(word) && !effects.has(word) && everythingSeen && !effects.has('unknown'));
  return { declared, exercised, not_exercised: not, cannot_tell: declared.filter((word) => !exercised.includes(word) && !not.includes(word)) };
}

/** Whether a source was given that covers this kind of credential over its whole life. */
function wouldHaveSeen({ kind, createdMs, dueMs, endedMs }: GrantedLease, { postgres, cloudTrail }: UsageSources): boolean {
  const span = kind === 'vault.dynamic' ? postgres?.span : kind === 'aws.sts' ? cloudTrail?.span : undefined;
  return span !== undefined && span !== null && span.fromMs <= createdMs && span.toMs >= (endedMs ?? dueMs);
}

function proposalsFor(credentials: readonly CredentialUsage[], minLeases: number): Proposal[] {
  const proposals: Proposal[] = [];
  for (const { credential, leases, unused, unknown, used, used_seconds_p95: p95, asked_seconds: asked } of credentials) {
    if (unused === leases && leases >= minLeases) proposals.push({ propose: 'drop_credential', credential, because: `none of ${leases} was used` });
    const ttl = p95 === null ? null : Math.max(STEP_SECONDS, Math.ceil(p95 / STEP_SECONDS) * STEP_SECONDS);
    if (ttl !== null && used >= minLeases && unknown === 0 && ttl < asked.median) {
      proposals.push({ propose: 'shorten', credential, ttl_seconds: ttl, because: `95 % of ${used} were last used within ${Math.ceil(p95 ?? 0)} s; ${asked.median} s were asked for` });
    }
  }
  const enough = credentials.length > 0 && credentials.every(({ unknown }) => unknown === 0) && credentials.some(({ leases }) => leases >= minLeases);
  const spare = [...new Set(credentials.flatMap(({ actions }) => actions.declared))].filter((word) => credentials.every(({ actions }) => !actions.declared.includes(word) || actions.not_exercised.includes(word)));
  if (enough && spare.length > 0) proposals.push({ propose: 'drop_actions', actions: spare, because: 'declared, and exercised with none of its credentials' });
  return proposals;
}

/** Nearest rank. */
function quantile(values: readonly number[], q: number): number | null {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)] ?? null;
}
