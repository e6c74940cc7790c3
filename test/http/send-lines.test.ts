import { once } from 'node:events';
import { createServer, get, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import express, { type Response as Answer } from 'express';
import { sendLines } from '../../src/http/send-lines.ts';
import { until } from '../support/until.ts';

let server: Server;
afterEach(async () => {
  server.closeAllConnections();
  server.close();
  await once(server, 'close');
});

async function serve(answer: (response: Answer) => Promise<void>): Promise<string> {
  const app = express();
  app.get('/', (_request, response) => answer(response));
  const failed: express.ErrorRequestHandler = (error, _request, response, next) => {
    if (response.headersSent) next(error);
    else response.status(500).json({});
  };
  app.use(failed);
  server = createServer(app).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

/** A client that asks and reads nothing. */
async function idle(url: string): Promise<IncomingMessage> {
  const [response] = (await once(get(url), 'response')) as [IncomingMessage];
  response.pause();
  return response;
}

const LINE = `"${'x'.repeat(64 * 1024)}"`;
const MANY = 1_000;

/** Makes many long lines, and says how many were made and whether it was ended. */
function maker() {
  const seen = { made: 0, ended: false };
  async function* lines(): AsyncGenerator<string> {
    try {
      for (; seen.made < MANY; seen.made += 1) yield await Promise.resolve(LINE);
    } finally {
      seen.ended = true;
    }
  }
  return { seen, lines };
}

describe('lines that are sent', () => {
  it('are made no faster than they are taken', async () => {
    const { seen, lines } = maker();
    const response = await idle(await serve((answer) => sendLines(answer, lines)));
    let before = -1;
    await until(() => {
      const still = seen.made === before;
      before = seen.made;
      return Promise.resolve(still);
    }, { everyMs: 200, what: 'it waits' });
    expect(seen.made).toBeLessThan(MANY / 2);
    let bytes = 0;
    for await (const chunk of response) bytes += (chunk as Buffer).length;
    expect([bytes, seen.made]).toEqual([MANY * (LINE.length + 1), MANY]);
  }, 30_000);

  it('would all be made for a reader who takes none, were nobody to wait (control)', async () => {
    const { seen, lines } = maker();
    await idle(await serve(async (answer) => {
      for await (const line of lines()) answer.write(`${line}\n`);
    }));
    await until(() => Promise.resolve(seen.made === MANY));
    expect(seen.ended).toBe(true);
  }, 30_000);

  it('end with their reader', async () => {
    const { seen, lines } = maker();
    let signal: AbortSignal | undefined;
    const response = await idle(await serve((answer) => sendLines(answer, (gone) => {
      signal = gone;
      return lines();
    })));
    expect(signal?.aborted).toBe(false);
    response.destroy();
    await until(() => Promise.resolve(seen.ended), { what: 'the maker is ended' });
    expect([signal?.aborted, seen.made < MANY]).toEqual([true, true]);
  }, 30_000);

  it('are of one type, whether there are any or none', async () => {
    async function* none(): AsyncGenerator<string> {
      // No line.
    }
    const answer = await fetch(await serve((response) => sendLines(response, none)));
    expect([answer.status, answer.headers.get('content-type'), await answer.text()]).toEqual([200, 'application/x-ndjson', '']);
  });

  async function* failing(good: number): AsyncGenerator<string> {
    for (let n = 0; n < good; n += 1) yield await Promise.resolve('{}');
    throw new Error('the disk');
  }

  it('that fail before the first of them are an error of the answer', async () => {
    expect((await fetch(await serve((response) => sendLines(response, () => failing(0))))).status).toBe(500);
  });

  it('that fail later are an answer that is not whole, which its reader sees', async () => {
    const url = await serve((response) => sendLines(response, () => failing(3)));
    await expect(fetch(url).then((answer) => answer.text())).rejects.toThrow();
  });
});
