import type { Config } from '../config-schema.ts';
import type { RuleFault } from './rule-fault.ts';

/** Whoever signs people in is a client that can prove itself, and knows where a browser comes back to. Pure. */
export function signInFaults({ operators, http, identity }: Config): RuleFault[] {
  const { sign_in: signIn } = operators;
  if (signIn === undefined) return [];
  const key = ['operators', 'sign_in'];
  const faults: RuleFault[] = [];
  const { client_id: clientId, client_secret_file: secret, client_key_file: privateKey } = signIn;
  if ((secret === undefined) === (privateKey === undefined)) faults.push({ key, detail: 'needs either client_secret_file or client_key_file' });
  if (http.public_url === undefined) faults.push({ key, detail: 'needs http.public_url: the issuer sends the browser back to /auth/callback there' });
  // An id token would then pass wherever a workload's token does, were an issuer ever shared.
  if ([identity.audience, ...identity.issuers.map(({ audience }) => audience)].includes(clientId)) faults.push({ key: [...key, 'client_id'], detail: 'is also the audience of workloads' });
  if (signIn.idle_minutes > signIn.max_hours * 60) faults.push({ key: [...key, 'idle_minutes'], detail: 'must be at most max_hours' });
  return faults;
}
