import type { Config } from '../config-schema.ts';
import type { RuleFault } from './rule-fault.ts';

type Parts = Pick<Config, 'operators' | 'http' | 'identity'>;

/** What is wrong with how people sign in, in a browser and at a terminal. Pure. */
export const signInFaults = (config: Parts): RuleFault[] => [...browserFaults(config), ...commandLineFaults(config)];

/** An id token would then pass wherever a workload's token does, were an issuer ever shared. */
const standsForWorkloads = (clientId: string, { identity }: Parts): boolean => [identity.audience, ...identity.issuers.map(({ audience }) => audience)].includes(clientId);

/** Whoever signs people in is a client that can prove itself, and knows where a browser comes back to. */
function browserFaults(config: Parts): RuleFault[] {
  const { operators, http } = config;
  const { sign_in: signIn } = operators;
  if (signIn === undefined) return [];
  const key = ['operators', 'sign_in'];
  const faults: RuleFault[] = [];
  const { client_id: clientId, client_secret_file: secret, client_key_file: privateKey } = signIn;
  if ((secret === undefined) === (privateKey === undefined)) faults.push({ key, detail: 'needs either client_secret_file or client_key_file' });
  if (http.public_url === undefined) faults.push({ key, detail: 'needs http.public_url: the issuer sends the browser back to /auth/callback there' });
  if (standsForWorkloads(clientId, config)) faults.push({ key: [...key, 'client_id'], detail: 'is also the audience of workloads' });
  if (signIn.idle_minutes > signIn.max_hours * 60) faults.push({ key: [...key, 'idle_minutes'], detail: 'must be at most max_hours' });
  if (signIn.requests_per_minute_per_address > signIn.requests_per_minute) faults.push({ key: [...key, 'requests_per_minute_per_address'], detail: 'must be at most requests_per_minute' });
  return faults;
}

function commandLineFaults(config: Parts): RuleFault[] {
  const { sign_in: signIn, cli } = config.operators;
  if (cli === undefined) return [];
  const key = ['operators', 'cli', 'client_id'];
  const faults: RuleFault[] = [];
  if (cli.client_id === signIn?.client_id) faults.push({ key, detail: 'is also that of sign_in, which has a secret: a command line can keep none, so it is a client of its own' });
  if (standsForWorkloads(cli.client_id, config)) faults.push({ key, detail: 'is also the audience of workloads' });
  return faults;
}
