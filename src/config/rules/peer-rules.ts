import type { Config } from '../config-schema.ts';
import { isLoopback } from '../loopback.ts';
import type { RuleFault } from './rule-fault.ts';

/** A webhook is signed, so that its recipient knows who speaks; an address of Slack is its own secret. */
export function noticeFaults({ notices }: Config): RuleFault[] {
  return notices.flatMap(({ name, kind, secret_file: secret }, index) => {
    const key = ['notices', index];
    return [
      ...(notices.slice(0, index).some((other) => other.name === name) ? [{ key: [...key, 'name'], detail: 'is listed twice' }] : []),
      ...(kind === 'webhook' && secret === undefined ? [{ key, detail: 'needs secret_file: a webhook is signed' }] : []),
      ...(kind === 'slack' && secret !== undefined ? [{ key: [...key, 'secret_file'], detail: 'is for webhooks: a notice to Slack is not signed' }] : []),
    ];
  });
}

/** Each transmitter once, and none whose word is ours. */
export function signalFaults({ signals, providers }: Config): RuleFault[] {
  const own = Object.values(providers).flatMap((provider) => (provider.type === 'jwt' ? [provider.issuer] : []));
  return signals.transmitters.flatMap(({ issuer }, index) => {
    const key = ['signals', 'transmitters', index];
    return [
      ...(signals.transmitters.slice(0, index).some((other) => other.issuer === issuer) ? [{ key: [...key, 'issuer'], detail: 'is listed twice' }] : []),
      ...(own.includes(issuer) ? [{ key: [...key, 'issuer'], detail: "is Mayfly's own issuer" }] : []),
    ];
  });
}

/** Names are keys: of what is waiting for each recipient. */
export function webhookFaults({ webhooks }: Config): RuleFault[] {
  return webhooks.flatMap(({ name }, index) => (webhooks.slice(0, index).some((other) => other.name === name) ? [{ key: ['webhooks', index, 'name'], detail: 'is listed twice' }] : []));
}

export function externalPolicyFaults({ policy: { external }, environment }: Config): RuleFault[] {
  if (external === undefined) return [];
  const key = ['policy', 'external', 'url'];
  const url = new URL(external.url);
  const faults: RuleFault[] = [];
  if (external.kind === 'opa' && !url.pathname.startsWith('/v1/data/')) faults.push({ key, detail: 'must have a path below /v1/data/, which names the decision' });
  if (environment === 'development' && !isLoopback(url.hostname)) faults.push({ key, detail: 'must be on a loopback address in development' });
  return faults;
}
