import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import express from 'express';
import { sendPage } from '../../src/http/send-page.ts';

async function sent(count: number): Promise<unknown> {
  const app = express();
  app.get('/', (_request, response) => sendPage(response, Array.from({ length: count }, (_, index) => index), (index) => ({ index, text: '"\n' }), { next_cursor: null, total: count }));
  const server = createServer(app).listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    const answer = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    expect(answer.headers.get('content-type')).toContain('application/json');
    return await answer.json();
  } finally {
    server.close();
    server.closeAllConnections();
  }
}

describe('a page', () => {
  it.each([0, 1, 100, 101, 200, 5_000])('of %i items is the same JSON, whether it is written at once or in pieces', async (count) => {
    expect(await sent(count)).toEqual({ items: Array.from({ length: count }, (_, index) => ({ index, text: '"\n' })), next_cursor: null, total: count });
  });
});
