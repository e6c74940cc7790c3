import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';

/** What the server does with a call: an error of AWS by status and code, silence, or a broken connection. */
export type AwsFault = { readonly status: number; readonly code: string } | 'silence' | 'reset';

/** A small server that speaks the AWS query protocol of STS and IAM, and fails as it is told. */
export interface AwsQueryServer {
  readonly endpoint: string;
  /** The actions that were asked for, in order. */
  readonly calls: string[];
  /** What the next calls of an action meet, in order; answered rightly when there is nothing left. */
  readonly faults: Map<string, AwsFault[]>;
  stop(): Promise<void>;
}

const ROLE = `<Role><Path>/</Path><RoleName>r</RoleName><RoleId>AROA0000000000000000</RoleId><Arn>arn:aws:iam::000000000000:role/r</Arn><CreateDate>2026-01-01T00:00:00Z</CreateDate>
<MaxSessionDuration>3600</MaxSessionDuration><PermissionsBoundary><PermissionsBoundaryType>Policy</PermissionsBoundaryType><PermissionsBoundaryArn>arn:aws:iam::000000000000:policy/b</PermissionsBoundaryArn></PermissionsBoundary></Role>`;

export async function startAwsQueryServer(): Promise<AwsQueryServer> {
  const calls: string[] = [];
  const faults = new Map<string, AwsFault[]>();
  let policy = '';
  const answer = (action: string, body: URLSearchParams): string => {
    const end = new Date(Date.now() + 900_000).toISOString();
    switch (action) {
      case 'GetRole':
        return ROLE;
      case 'AssumeRole':
        return `<Credentials><AccessKeyId>ASIA0123456789ABCDEF</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>${end}</Expiration></Credentials>`;
      case 'PutRolePolicy':
        policy = body.get('PolicyDocument') ?? '';
        return '';
      case 'GetRolePolicy':
        return `<RoleName>r</RoleName><PolicyName>p</PolicyName><PolicyDocument>${encodeURIComponent(policy === '' ? '{"Statement":[]}' : policy)}</PolicyDocument>`;
      case 'ListRolePolicies':
        return '<PolicyNames></PolicyNames><IsTruncated>false</IsTruncated>';
      default:
        return '';
    }
  };
  const server: Server = createServer((request, response) => {
    let text = '';
    request.on('data', (chunk: Buffer) => (text += chunk.toString()));
    request.on('end', () => {
      const body = new URLSearchParams(text);
      const action = body.get('Action') ?? '';
      calls.push(action);
      const fault = faults.get(action)?.shift();
      if (fault === 'silence') return;
      if (fault === 'reset') return void request.socket.destroy();
      response.setHeader('content-type', 'text/xml');
      response.statusCode = fault?.status ?? 200;
      const error = `<ErrorResponse><Error><Type>Sender</Type><Code>${fault?.code ?? ''}</Code><Message>told by AWS</Message></Error><RequestId>1</RequestId></ErrorResponse>`;
      response.end(fault === undefined ? `<${action}Response><${action}Result>${answer(action, body)}</${action}Result></${action}Response>` : error);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    faults,
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
