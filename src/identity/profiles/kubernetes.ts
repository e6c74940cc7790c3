import type { JWTPayload } from 'jose';
import { z } from 'zod';
import type { OidcIssuerConfig } from '../../config/config-schema.ts';
import { refused } from '../verify-token.ts';

const named = z.object({ name: z.string().min(1), uid: z.string().min(1) });
const bound = z.object({ namespace: z.string().min(1), serviceaccount: named, pod: named });
export type BoundObjects = z.infer<typeof bound>;

/**
 * The pod and service account that a projected service-account token is bound to. Names are given out again; the UIDs are
 * not, and the pod's is the instance. Throws `invalid_token` for a token of no pod, and for one of a service account that is not listed.
 */
export function kubernetesObjects(subject: string, claims: JWTPayload, listed: OidcIssuerConfig['service_accounts']): BoundObjects {
  const objects = bound.safeParse(claims['kubernetes.io']).data;
  if (objects === undefined) throw refused('it is not bound to a pod and a service account of Kubernetes');
  const { namespace, serviceaccount } = objects;
  if (subject !== `system:serviceaccount:${namespace}:${serviceaccount.name}`) throw refused('its subject is not the service account that it is bound to');
  const known = listed?.some((one) => one.namespace === namespace && one.name === serviceaccount.name && (one.uid === undefined || one.uid === serviceaccount.uid)) ?? true;
  if (!known) throw refused('its service account is none of those that are configured');
  return objects;
}
