import { IAMClient } from '@aws-sdk/client-iam';
import { STSClient } from '@aws-sdk/client-sts';
import { fromIni, fromNodeProviderChain, fromTokenFile } from '@aws-sdk/credential-providers';
import type { AwsLoginConfig, AwsStsProviderConfig } from '../../config/config-schema.ts';

/** STS and IAM under one identity of the broker. */
export interface AwsClients {
  readonly sts: STSClient;
  readonly iam: IAMClient;
  destroy(): void;
}

/** One call is tried this often at once; beyond that, retrying is the ledger's. */
const ATTEMPTS = 2;

/** Nothing is asked of AWS before the first call. */
export function createAwsClients(config: Pick<AwsStsProviderConfig, 'region' | 'endpoint' | 'timeout_ms'>, login: AwsLoginConfig): AwsClients {
  const { region, endpoint, timeout_ms: timeoutMs } = config;
  const clientConfig = { region, ...(endpoint === undefined ? {} : { endpoint }) };
  const options = {
    ...clientConfig,
    credentials: credentialsOf(login, clientConfig),
    maxAttempts: ATTEMPTS,
    requestHandler: { connectionTimeout: timeoutMs, requestTimeout: timeoutMs, throwOnRequestTimeout: true },
  };
  const sts = new STSClient(options);
  const iam = new IAMClient(options);
  return {
    sts,
    iam,
    destroy() {
      sts.destroy();
      iam.destroy();
    },
  };
}

function credentialsOf(login: AwsLoginConfig, clientConfig: { readonly region: string; readonly endpoint?: string }) {
  switch (login.method) {
    case 'web_identity':
      return fromTokenFile({ roleArn: login.role_arn, webIdentityTokenFile: login.token_file, roleSessionName: 'mayfly-broker', clientConfig });
    case 'credentials_file':
      return fromIni({ filepath: login.credentials_file, configFilepath: login.credentials_file, profile: login.profile, ignoreCache: true, clientConfig });
    case 'environment':
      return fromNodeProviderChain({ clientConfig });
    default:
      return login satisfies never;
  }
}
