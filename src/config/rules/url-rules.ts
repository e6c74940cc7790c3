import type { Config } from '../config-schema.ts';
import type { ConfigPath } from '../load-config.ts';
import type { RuleFault } from './rule-fault.ts';

interface ConfiguredUrl {
  readonly key: ConfigPath;
  readonly url: string;
  /** Whether a query may be part of it: an address that is called may have one, a name that is compared byte for byte not. */
  readonly mayHaveQuery?: boolean;
}

/** No URL holds a password, which would end in logs; in production all are https. */
export function urlFaults(config: Config): RuleFault[] {
  return configuredUrls(config).flatMap(({ key, url: text, mayHaveQuery = false }) => {
    const url = new URL(text);
    const faults: RuleFault[] = [];
    if (url.username !== '' || url.password !== '') faults.push({ key, detail: 'must not hold a user or a password' });
    if (text.includes('#') || (!mayHaveQuery && text.includes('?'))) faults.push({ key, detail: mayHaveQuery ? 'must not have a fragment' : 'must have neither a query nor a fragment' });
    if (url.protocol === 'http:' && key[0] === 'tls') faults.push({ key, detail: 'must be https: there is nothing else at this listener' });
    else if (url.protocol === 'http:' && config.environment === 'production') faults.push({ key, detail: 'must be https in production' });
    return faults;
  });
}

function configuredUrls({ authzen, http, identity, operators, policy, providers, signals, telemetry, tls, webhooks }: Config): ConfiguredUrl[] {
  const given = (key: ConfigPath, url: string | undefined, mayHaveQuery = false): ConfiguredUrl[] => (url === undefined ? [] : [{ key, url, mayHaveQuery }]);
  return [
    ...identity.issuers.flatMap(({ issuer, token_review: review }, index) => {
      const key = ['identity', 'issuers', index];
      return [...given([...key, 'issuer'], issuer), ...given([...key, 'token_review', 'url'], review?.url)];
    }),
    ...given(['identity', 'users', 'issuer'], identity.users?.issuer),
    ...given(['operators', 'issuer'], operators.issuer),
    ...given(['http', 'public_url'], http.public_url),
    ...given(['tls', 'public_url'], tls?.public_url),
    ...given(['policy', 'external', 'url'], policy.external?.url),
    ...given(['authzen', 'url'], authzen.url),
    ...given(['telemetry', 'traces', 'otlp_endpoint'], telemetry.traces?.otlp_endpoint, true),
    ...Object.entries(providers).flatMap(([name, provider]) => providerUrl(['providers', name], provider)),
    ...signals.transmitters.flatMap(({ issuer, jwks_uri: jwks }, index) => {
      const key = ['signals', 'transmitters', index];
      return [...given([...key, 'issuer'], issuer), ...given([...key, 'jwks_uri'], jwks, true)];
    }),
    ...webhooks.flatMap(({ url }, index) => given(['webhooks', index, 'url'], url, true)),
  ];
}

/** Where a provider is, or what it calls itself. */
function providerUrl(key: ConfigPath, provider: Config['providers'][string]): ConfiguredUrl[] {
  switch (provider.type) {
    case 'jwt':
      return [{ key: [...key, 'issuer'], url: provider.issuer }];
    case 'vault':
      return [{ key: [...key, 'address'], url: provider.address }];
    case 'aws-sts':
      return provider.endpoint === undefined ? [] : [{ key: [...key, 'endpoint'], url: provider.endpoint }];
    default:
      return provider satisfies never;
  }
}
