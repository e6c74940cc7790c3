import type { Config } from '../config/config-schema.ts';
import { createOutboundFetch, type OutboundFetch } from './outbound-fetch.ts';

/** The way out to the issuers, transmitters and bundle endpoints of a configuration, and to nothing else. */
export function createIssuerFetch(config: Pick<Config, 'identity' | 'operators' | 'signals' | 'outbound' | 'environment'>): OutboundFetch {
  const { issuers: workloads, users } = config.identity;
  const { transmitters } = config.signals;
  const issuers = [...workloads, config.operators, ...(users === undefined ? [] : [users]), ...transmitters];
  const endpoints = config.identity.trust_domains.flatMap(({ bundle_endpoint: endpoint }) => (endpoint === undefined ? [] : [new URL(endpoint.url).host]));
  const reviewers = config.identity.issuers.flatMap(({ token_review: review }) => (review === undefined ? [] : [review]));
  return createOutboundFetch({
    environment: config.environment,
    allowHosts: [...issuers.map(({ issuer }) => new URL(issuer).host), ...endpoints, ...reviewers.map(({ url }) => new URL(url).host), ...transmitters.flatMap(({ jwks_uri: url }) => (url === undefined ? [] : [new URL(url).host])), ...config.outbound.allow_hosts],
    // Development issuers live on loopback; nothing else does.
    allowPrivateAddresses: config.outbound.allow_private_addresses || config.environment === 'development',
    caFor: (host) => reviewers.find(({ url, ca_file: file }) => file !== undefined && new URL(url).host === host)?.ca_file ?? issuers.find(({ issuer }) => new URL(issuer).host === host)?.ca_file,
  });
}
