import type { Workload } from '../identity/caller.ts';

/** What the audit log keeps of a caller besides who it is: the owner and environment that its token named, where its issuer is configured for that. */
export const callerFacts = ({ attributes }: Workload): Record<string, unknown> => (attributes === undefined ? {} : { caller: attributes });
