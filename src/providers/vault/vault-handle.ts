import { z } from 'zod';
import type { Handle } from '../../ledger/lease.ts';

const handle = z.object({
  /** Of the token; it can be revoked by it, not used. */
  accessor: z.string().min(1),
  credential: z.string(),
  cluster_id: z.string().min(1),
  namespace: z.string(),
  /** The lease at the target with its mount, for leased paths; null for tokens, and for what was only found by listing. */
  lease_id: z.string().min(1).nullable(),
  mount: z.string().min(1).nullable(),
  mount_accessor: z.string().min(1).nullable(),
  /** Of the wrapping token of a static secret; `accessor` is then that of a token that only marks the lease. */
  wrap_accessor: z.string().min(1).nullable().default(null),
});

/** Where a Vault credential is found again, and by what its target is known to be the same one. */
export type VaultHandle = Readonly<z.infer<typeof handle>>;

/** The recorded handle as one of ours, or undefined. */
export const parseHandle = (recorded: Handle): VaultHandle | undefined => handle.safeParse(recorded).data;
