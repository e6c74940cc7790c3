import { digestOf } from '../core/canonical-json.ts';
import type { FieldFault } from '../core/problem.ts';
import type { WorkloadId } from '../identity/caller.ts';
import type { Declaration } from './declaration.ts';

/** What somebody else than the declarer can vouch for: all that policy looks at, and the reason that was given. */
export type Vouchable = Pick<Declaration, 'purpose' | 'justification' | 'ticket' | 'actions' | 'data_classes' | 'context' | 'ttl_seconds' | 'credentials'>;

/**
 * `sha256:` digest over the canonical JSON (RFC 8785) of what is vouched for: exactly these ten members, lists in the order of the
 * declaration, what is optional and was left out as `null`, `[]` or `{}`. docs/evidence.md has a worked example.
 */
export const declarationDigest = (declaration: Vouchable, agent: WorkloadId): string =>
  digestOf({
    agent: agent.subject,
    agent_issuer: agent.issuer,
    purpose: declaration.purpose,
    justification: declaration.justification ?? null,
    ticket: declaration.ticket ?? null,
    actions: declaration.actions,
    data_classes: declaration.data_classes,
    context: declaration.context,
    ttl_seconds: declaration.ttl_seconds ?? null,
    credentials: declaration.credentials.map(({ name, ttl_seconds: ttl, params }) => ({ name, ttl_seconds: ttl ?? null, params })),
  });

/** Lifetimes that the broker would fill in by itself: nobody vouched for those. */
export const unsaidLifetimes = ({ ttl_seconds: ttl, credentials }: Vouchable): FieldFault[] => [
  ...(ttl === undefined ? [unsaid('/ttl_seconds')] : []),
  ...credentials.flatMap((one, index) => (one.ttl_seconds === undefined ? [unsaid(`/credentials/${index}/ttl_seconds`)] : [])),
];

const unsaid = (pointer: string): FieldFault => ({ pointer, detail: 'must be given: it is part of what is vouched for' });
