import { IAMClient } from '@aws-sdk/client-iam';
import { STSClient } from '@aws-sdk/client-sts';
import { fromIni, fromNodeProviderChain, fromTokenFile } from '@aws-sdk/credential-providers';
import { inSpan } from '../../telemetry/in-span.ts';
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
  traceCalls(sts, 'aws.sts');
  traceCalls(iam, 'aws.iam');
  return {
    sts,
    iam,
    destroy() {
      sts.destroy();
      iam.destroy();
    },
  };
}

/** A span for each call, by the name of its command: what it asks for holds names and policies of callers. */
function traceCalls(client: STSClient | IAMClient, system: string): void {
  const stack: Pick<STSClient['middlewareStack'], 'add'> = client.middlewareStack;
  stack.add((next, { commandName }) => (args) => inSpan('aws', { calls: true, facts: { 'rpc.system': system, 'rpc.method': commandName ?? 'unknown' } }, () => next(args)), { step: 'initialize', name: 'mayflySpans' });
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
