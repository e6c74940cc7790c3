import type { Config } from '../config-schema.ts';
import { agentFaults, authzenFaults, introspectionFaults } from './caller-rules.ts';
import { credentialFaults } from './credential-rules.ts';
import { developmentFaults, productionFaults } from './environment-rules.ts';
import { identityFaults, senderFaults } from './identity-rules.ts';
import { limitFaults, redisFaults } from './limit-rules.ts';
import { oauthFaults } from './oauth-rules.ts';
import { externalPolicyFaults, noticeFaults, signalFaults, webhookFaults } from './peer-rules.ts';
import { profileFaults } from './profile-rules.ts';
import type { RuleFault } from './rule-fault.ts';
import { signInFaults } from './sign-in-rules.ts';
import { workloadApiFaults } from './spiffe-rules.ts';
import { urlFaults } from './url-rules.ts';

/** What the schema cannot say: rules between keys, and what each environment refuses. Pure. */
export function configFaults(config: Config, options: { readonly urlFromEnvironment: boolean }): RuleFault[] {
  return [
    ...identityFaults(config),
    ...profileFaults(config),
    ...urlFaults(config),
    ...oauthFaults(config),
    ...signInFaults(config),
    ...credentialFaults(config),
    ...senderFaults(config),
    ...introspectionFaults(config),
    ...workloadApiFaults(config),
    ...authzenFaults(config),
    ...agentFaults(config),
    ...noticeFaults(config),
    ...webhookFaults(config),
    ...signalFaults(config),
    ...externalPolicyFaults(config),
    ...redisFaults(config, options.urlFromEnvironment),
    ...limitFaults(config),
    ...(config.environment === 'production' ? productionFaults(config) : developmentFaults(config)),
  ];
}
