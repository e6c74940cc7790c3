import { z } from 'zod';

/** What of the target's answers we read; all else is dropped at the edge. Lengths are whole seconds. */

export const nothing = z.unknown();

/** `sys/health`. The cluster id tells one target from another at the same address. */
export const health = z.object({ cluster_id: z.string().min(1) });

const auth = z.object({
  client_token: z.string().min(1),
  accessor: z.string().min(1),
  lease_duration: z.int().min(0),
  renewable: z.boolean(),
});

/** A login, or the renewal of one. */
export const login = z.object({ auth });

/** `auth/token/create/<role>`. */
export const createdToken = z.object({ auth: auth.extend({ orphan: z.boolean() }) });

/** `auth/token/renew-accessor`, which never shows the token. */
export const renewedToken = z.object({ auth: z.object({ lease_duration: z.int().min(1) }) });

/** `sys/leases/renew`: what is left, which may be less than was asked for. */
export const renewedLease = z.object({ lease_duration: z.int().min(1) });

/** `auth/token/lookup-self`; a `ttl` of 0 never ends. */
export const ownToken = z.object({ data: z.object({ accessor: z.string(), ttl: z.int().min(0), renewable: z.boolean().default(false) }) });

/** `auth/token/lookup-accessor`. */
export const tokenByAccessor = z.object({
  data: z.object({ accessor: z.string(), creation_time: z.int(), expire_time: z.string().nullish(), meta: z.record(z.string(), z.string()).nullish() }),
});

/** `auth/token/lookup-accessor` of a wrapping token; 1 until it is opened. */
export const usesLeft = z.object({ data: z.object({ num_uses: z.int() }) });

/** Any read whose answer was asked for wrapped. */
export const wrapped = z.object({ wrap_info: z.object({ token: z.string().min(1), accessor: z.string().min(1), ttl: z.int().min(1) }) });

/** A read of a leased path. */
export const leasedSecret = z.object({ lease_id: z.string().min(1), lease_duration: z.int().min(1), data: z.record(z.string(), z.unknown()) });

/** `sys/internal/ui/mounts/<path>`, open to whoever may use the path: the mount it is on. */
export const mountOfPath = z.object({ data: z.object({ path: z.string().min(1), accessor: z.string().min(1) }) });

/** `sys/mounts/<mount>`. */
export const mount = z.object({ data: z.object({ accessor: z.string().min(1) }) });

/** `sys/leases/lookup`. A lease past its end, waiting to be cleaned up, has a `ttl` of 0 or less. */
export const leaseState = z.object({ data: z.object({ id: z.string(), ttl: z.int(), issue_time: z.string() }) });

export const keyList = z.object({ data: z.object({ keys: z.array(z.string()) }) });
