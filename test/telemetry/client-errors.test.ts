import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { inspect } from 'node:util';
import { AssumeRoleWithWebIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { GetObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { afterEach, describe, expect, it } from '@jest/globals';
import nodeVault from 'node-vault';
import { createLogger } from '../../src/telemetry/logger.ts';

/** Of no known form: only the place where it stands can give it away. */
const TOKEN = 'plain-words-that-are-a-token';
const SECRET = 'plain-words-that-are-a-secret';

let server: Server | undefined;

afterEach(async () => {
  if (server === undefined) return;
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
});

async function target(listener: RequestListener): Promise<string> {
  server = createServer(listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const failureOf = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => Promise.reject(new Error('the call did not fail')),
    (error: unknown) => error,
  );

const breaksOff: RequestListener = (request) => request.socket.destroy();
const refuses: RequestListener = (_request, response) => response.writeHead(403, { 'content-type': 'application/json' }).end(JSON.stringify({ errors: ['permission denied'], data: { secret: SECRET } }));

function logged(error: unknown): string {
  const lines: string[] = [];
  const log = createLogger({ level: 'debug', base: {} }, { write: (line) => void lines.push(line) });
  log.error({ err: error }, 'the call failed');
  log.warn({ lease: 'lse_1', reason: error }, 'again, under another name');
  log.error(error as Error);
  return lines.join('');
}

/** Calls that fail, with a token or a secret in what the client sent. */
const CALLS: Readonly<Record<string, (endpoint: string) => Promise<unknown>>> = {
  'node-vault': (endpoint) => nodeVault({ endpoint, token: TOKEN }).write('auth/token/create', { password: SECRET }),
  "AWS's STS client": (endpoint) =>
    new STSClient({ endpoint, region: 'eu-central-1', maxAttempts: 1, credentials: { accessKeyId: 'a', secretAccessKey: SECRET } }).send(
      new AssumeRoleWithWebIdentityCommand({ RoleArn: 'arn:aws:iam::111122223333:role/r', RoleSessionName: 's', WebIdentityToken: TOKEN }),
    ),
  "AWS's S3 client": (endpoint) =>
    new S3Client({ endpoint, region: 'eu-central-1', maxAttempts: 1, forcePathStyle: true, credentials: { accessKeyId: 'a', secretAccessKey: SECRET, sessionToken: TOKEN } }).send(new GetObjectCommand({ Bucket: 'b', Key: 'k' })),
};

describe.each(Object.entries(CALLS))('the errors of %s', (_client, call) => {
  it.each([
    ['a broken connection', breaksOff],
    ['a refusal', refuses],
  ])('pass through the logger without what was sent or answered: %s', async (_fault, listener) => {
    const error = await failureOf(call(await target(listener)));
    const text = logged(error);
    expect(text).toContain('the call failed');
    expect(text).not.toContain(TOKEN);
    expect(text).not.toContain(SECRET);
  });
});

describe('control', () => {
  it.each([
    ['node-vault', breaksOff],
    ["AWS's S3 client", refuses],
  ])('the errors of %s hold what was sent or answered when they are printed as they are', async (client, listener) => {
    const error = await failureOf(CALLS[client]?.(await target(listener)) ?? Promise.resolve());
    expect(inspect(error, { depth: 12, showHidden: true })).toContain(listener === breaksOff ? TOKEN : SECRET);
  });
});
