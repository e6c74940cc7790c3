import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { inspect } from 'node:util';
import { afterEach, describe, expect, it } from '@jest/globals';
import nodeVault from 'node-vault';
import { Secret } from '../../../src/core/secret.ts';
import * as answers from '../../../src/providers/vault/vault-answers.ts';
import { VaultClient, VaultFailure } from '../../../src/providers/vault/vault-client.ts';

const NEVER = new AbortController().signal;
const TOKEN = 's.abcdefghijklmnopqrstuvwx';
const PASSWORD = 'a-password-in-the-body';

let server: Server | undefined;
let client: VaultClient | undefined;

afterEach(async () => {
  await client?.close();
  server?.closeAllConnections();
  await new Promise((resolve) => (server === undefined ? resolve(undefined) : server.close(resolve)));
  server = client = undefined;
});

async function target(listener: RequestListener): Promise<string> {
  const listening = createServer(listener);
  server = listening;
  await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(listening.address() as AddressInfo).port}`;
}

const clientOf = (address: string, timeoutMs = 2_000): VaultClient => (client = new VaultClient({ address, timeoutMs }));
const call = (from: VaultClient, signal = NEVER): Promise<unknown> =>
  from.request({ method: 'POST', path: 'some/path', body: { password: PASSWORD }, token: new Secret(TOKEN), answer: answers.nothing, signal });

async function failureOf(promise: Promise<unknown>): Promise<VaultFailure> {
  const error: unknown = await promise.catch((cause: unknown) => cause);
  if (!(error instanceof VaultFailure)) throw new Error('not a VaultFailure', { cause: error });
  return error;
}

const printed = (error: unknown): string => inspect(error, { depth: 12, showHidden: true }) + JSON.stringify(error);

describe('the one client of Vault', () => {
  it('takes 202 for the success it is; control: node-vault alone takes it for an error', async () => {
    const address = await target((_request, response) => response.writeHead(202).end());
    await expect(call(clientOf(address))).resolves.toBeUndefined();
    await expect(nodeVault({ endpoint: address }).write('some/path', {})).rejects.toThrow('Status 202');
  });

  it('gives up in time on a target that takes the call and says nothing, as a call that may have been done', async () => {
    const address = await target(() => undefined);
    const failure = await failureOf(call(clientOf(address, 80)));
    expect(failure).toMatchObject({ status: null, mayHaveActed: true, message: 'the target did not answer in time' });
  });

  it('gives up at once when its signal says so, and lets the connection go', async () => {
    const closed = Promise.withResolvers<undefined>();
    const stop = new AbortController();
    const address = await target((request) => {
      request.socket.once('close', () => closed.resolve(undefined));
      stop.abort();
    });
    expect(await failureOf(call(clientOf(address, 30_000), stop.signal))).toMatchObject({ mayHaveActed: true, message: 'the call was given up' });
    await closed.promise;
  });

  it('knows that a refused connection sent nothing', async () => {
    const address = await target(() => undefined);
    await new Promise((resolve) => server?.close(resolve));
    expect(await failureOf(call(clientOf(address)))).toMatchObject({ status: null, mayHaveActed: false });
  });

  const echo: RequestListener = (request, response) => {
    response.writeHead(500).end(JSON.stringify({ errors: [PASSWORD, request.headers['x-vault-token']] }));
  };
  const unknownForm: RequestListener = (_request, response) => {
    response.end(JSON.stringify({ auth: { client_token: TOKEN, password: PASSWORD } }));
  };
  const breaksOff: RequestListener = (request) => {
    request.socket.destroy();
  };

  it.each([
    ['a refused connection', undefined],
    ['a broken connection', breaksOff],
    ['an answer that repeats what it was sent', echo],
    ['an answer of an unknown form', unknownForm],
  ])('holds neither token nor body in the failure of %s', async (_, listener) => {
    const address = await target(listener ?? echo);
    if (listener === undefined) await new Promise((resolve) => server?.close(resolve));
    const failing = clientOf(address).request({ method: 'POST', path: 'x', body: { password: PASSWORD }, token: new Secret(TOKEN), answer: answers.createdToken, signal: NEVER });
    const text = printed(await failureOf(failing));
    expect(text).not.toContain(TOKEN);
    expect(text).not.toContain(PASSWORD);
  });

  it('control: the error of node-vault alone holds both', async () => {
    const address = await target((request) => request.socket.destroy());
    const error: unknown = await nodeVault({ endpoint: address, token: TOKEN }).write('x', { password: PASSWORD }).catch((cause: unknown) => cause);
    expect(printed(error)).toContain(TOKEN);
    expect(printed(error)).toContain(PASSWORD);
  });

  it('follows no redirect: the token goes to the configured target only', async () => {
    const seen: (string | undefined)[] = [];
    const address = await target((request, response) => {
      seen.push(request.url);
      response.writeHead(307, { location: '/v1/elsewhere' }).end();
    });
    expect(await failureOf(call(clientOf(address)))).toMatchObject({ status: 307 });
    expect(seen).toEqual(['/v1/some/path']);
  });

  it.each([
    [400, 'invalid lease', 'invalid_lease'],
    [400, '1 error occurred:\n\t* invalid accessor\n\n', 'invalid_accessor'],
    [403, 'invalid accessor', 'other'],
    [403, '1 error occurred:\n\t* permission denied\n\n', 'other'],
    [400, 'failed to revoke: invalid lease of something else', 'other'],
    [500, 'invalid lease', 'other'],
  ])('reads %d %j as %s: a 403 never says that a thing is gone', async (status, error, fault) => {
    const address = await target((_request, response) => response.writeHead(status).end(JSON.stringify({ errors: [error] })));
    expect(await failureOf(call(clientOf(address)))).toMatchObject({ status, fault });
  });

  it.each([
    [400, false], [403, false], [404, false], [429, false], [503, false], [500, true], [502, true],
  ])('after a %d the call may have been done: %s', async (status, mayHaveActed) => {
    const address = await target((_request, response) => response.writeHead(status).end());
    expect(await failureOf(call(clientOf(address)))).toMatchObject({ mayHaveActed });
  });

  it('keeps its connection for the next call', async () => {
    const ports = new Set<number | undefined>();
    const address = await target((request, response) => {
      ports.add(request.socket.remotePort);
      response.end('{}');
    });
    const kept = clientOf(address);
    for (let n = 0; n < 20; n += 1) await call(kept);
    // The pool may open a second one while it reads the end of an answer; without keeping, there would be twenty.
    expect(ports.size).toBeLessThanOrEqual(2);
  });

  it("does not hear the environment's VAULT_ variables", async () => {
    const headers: unknown[] = [];
    const address = await target((request, response) => {
      headers.push(request.headers['x-vault-token'], request.headers['x-vault-namespace']);
      response.end('{}');
    });
    process.env['VAULT_TOKEN'] = 's.from-the-environment';
    process.env['VAULT_NAMESPACE'] = 'elsewhere';
    try {
      await clientOf(address).request({ method: 'GET', path: 'x', answer: answers.nothing, signal: NEVER });
    } finally {
      delete process.env['VAULT_TOKEN'];
      delete process.env['VAULT_NAMESPACE'];
    }
    expect(headers).toEqual([undefined, undefined]);
  });
});
