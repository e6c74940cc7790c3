import type { Stack } from './stack.ts';

export interface DevJsonParts {
  readonly url: string;
  readonly metricsUrl: string;
  readonly pid: number;
  readonly logFile: string;
}

/** What `.mayfly/dev.json` says of a running stack. A part that is not running is null; paths are absolute. */
export function devJson(stack: Stack, { url, metricsUrl, pid, logFile }: DevJsonParts): Record<string, unknown> {
  const { postgres, openbao, aws, spiffe } = stack;
  return {
    url,
    metrics_url: metricsUrl,
    audience: stack.workloads.audience,
    issuer: stack.workloads.issuer,
    operator_issuer: stack.operators.issuer,
    operator_audience: stack.operators.audience,
    ...stack.tokenFiles,
    issuer_key_file: stack.issuerKeyFile,
    tls_url: stack.tlsUrl,
    tls_ca_file: spiffe.caFile,
    agent_svid: spiffe.agent,
    second_agent_svid: spiffe.secondAgent,
    broker: { pid, config: stack.configFile, log: logFile },
    audit: { path: stack.auditFile },
    redis_url: stack.redis.url,
    openbao: openbao === null ? null : { address: openbao.address, token_file: stack.rootTokenFile },
    postgres:
      postgres === null
        ? null
        : { host: postgres.host, port: postgres.port, database: postgres.database, admin_url_file: stack.adminUrlFile },
    aws:
      aws === null
        ? null
        : { endpoint: aws.endpoint, region: aws.region, bucket: aws.bucket, access_key_id: aws.root.accessKeyId, secret_access_key: aws.root.secretAccessKey },
  };
}
