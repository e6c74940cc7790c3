import { readFileSync } from 'node:fs';
import type { Config } from '../config/config-schema.ts';
import { createOutboundFetch } from '../identity/outbound-fetch.ts';
import { failure, ok, warning, type Check, type Finding } from './check.ts';

interface Recipient {
  readonly name: string;
  /** What is never shown where the address is itself a secret. */
  readonly url: string;
  readonly allowPrivateAddresses: boolean;
  readonly caFile?: string | undefined;
}

/** Whether whoever is to be told of events, or of tasks that wait for a human, can be reached. Asks with GET; sends no message. */
export const recipientChecks = ({ webhooks, notices, environment }: Pick<Config, 'webhooks' | 'notices' | 'environment'>): Check[] => [
  ...(webhooks.length === 0 ? [] : [{ area: 'webhooks', look: (signal: AbortSignal) => Promise.all(webhooks.map(({ name, url, allow_private_addresses: allowPrivateAddresses, ca_file: caFile }) => reach('webhooks', { name, url, allowPrivateAddresses, caFile }, environment, signal))) }]),
  ...(notices.length === 0 ? [] : [{ area: 'notices', look: (signal: AbortSignal) => Promise.all(notices.map(({ name, url_file: file, allow_private_addresses: allowPrivateAddresses }) => reach('notices', { name, url: readFileSync(file, 'utf8').trim(), allowPrivateAddresses }, environment, signal))) }]),
];

async function reach(area: string, { name, url, allowPrivateAddresses, caFile }: Recipient, environment: Config['environment'], signal: AbortSignal): Promise<Finding> {
  const check = `${area}.${name}`;
  const host = URL.parse(url)?.host;
  if (host === undefined) return failure(check, 'its address is no URL', 'mend the address');
  try {
    const { status } = await createOutboundFetch({ environment, allowHosts: [host], allowPrivateAddresses })(url, { signal, caFile });
    // What takes messages need not answer a GET with a success; that it is gone for good, it says to anybody.
    return status === 410 ? warning(check, `${host} says that it is gone`, 'remove it, or ask its owner for the new address') : ok(check, `${host} answers`);
  } catch (error) {
    return failure(check, `${host} is not reached: ${error instanceof Error ? error.message : String(error)}`, 'look at its name, its certificate and the way there; a private address needs allow_private_addresses');
  }
}
