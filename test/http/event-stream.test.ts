import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Response } from 'express';
import { EventTail } from '../../src/audit/event-tail.ts';
import { EventStream } from '../../src/http/event-stream.ts';
import { until } from '../support/until.ts';

const CAPACITY = 500;
const json = JSON.stringify({ padding: 'x'.repeat(1_000) });
let server: Server;
let tail: EventTail;
let stream: EventStream;
let response: ServerResponse;
let socket: Socket;
let received: string;
let n: number;

beforeEach(() => {
  tail = new EventTail(CAPACITY);
  received = '';
  n = 0;
});

afterEach(async () => {
  socket.destroy();
  server.close();
  await once(server, 'close');
});

/** A connection whose reader takes nothing until it is resumed. */
async function openStream(lastEventId?: string): Promise<void> {
  server = createServer((_request, answer) => {
    response = answer;
    stream = new EventStream(answer as Response, tail, lastEventId);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const requested = once(server, 'request');
  socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  socket.on('data', (data) => (received += data.toString())).on('error', () => undefined);
  socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  await requested;
}

function happen(count: number): void {
  for (let i = 0; i < count; i += 1) {
    n += 1;
    tail.push({ id: `1-${n}`, after: `1-${n - 1}`, type: 'task.ended', json });
    stream.pump();
  }
}

const ids = (): number[] => [...received.matchAll(/^id: 1-(\d+)\nevent: task\.ended$/gm)].map((match) => Number(match[1]));

describe('a stream whose reader is slow', () => {
  it('holds no more than a reader with nothing to do, and gets resync and the newest when it reads again', async () => {
    await openStream();
    socket.pause();
    // 20 MB; sockets take some of it, the rest must not be kept for this reader.
    for (let round = 0; round < 200; round += 1) {
      happen(100);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(response.writableLength).toBeLessThan(200_000);
    socket.resume();
    await until(() => received.includes('event: resync'));
    happen(1);
    await until(() => ids().includes(n));
    expect(ids().length).toBeLessThan(n);
    expect(ids()).toEqual(ids().toSorted((a, b) => a - b));
    expect(new Set(ids()).size).toBe(ids().length);
  });

  it('gets everything in order as long as it is not further behind than the tail', async () => {
    await openStream();
    socket.pause();
    happen(CAPACITY);
    socket.resume();
    await until(() => ids().includes(CAPACITY));
    expect(ids()).toEqual(Array.from({ length: CAPACITY }, (_, index) => index + 1));
    expect(received).not.toContain('resync');
  });
});

describe('a stream', () => {
  it('begins with where it stands, a retry hint and no event', async () => {
    tail.push({ id: '1-1', after: '1-0', type: 'task.ended', json });
    await openStream();
    await until(() => received.includes('id: 1-1\n\n'));
    expect(received).toContain('retry: 3000\n\n');
    expect(received).not.toContain('event:');
    expect(received).toMatch(/content-type: text\/event-stream/i);
    stream.ping();
    await until(() => received.includes(': ping\n\n'));
  });

  it.each(['0-7', 'rubbish', '99-99', '', `1-${'9'.repeat(10_000)}`])('that cannot go on from %.12s says resync, and where it now stands', async (lastEventId) => {
    tail.push({ id: '1-9', after: '1-8', type: 'task.ended', json });
    await openStream(lastEventId);
    await until(() => received.includes('id: 1-9\nevent: resync\n'));
    expect(ids()).toEqual([]);
  });

  it('says resync where something is missing, and goes on', async () => {
    await openStream();
    happen(2);
    n += 1;
    happen(1);
    await until(() => ids().includes(4));
    expect(ids()).toEqual([1, 2, 4]);
    expect(received.indexOf('resync')).toBeGreaterThan(received.indexOf('id: 1-2\n'));
    expect(received.indexOf('resync')).toBeLessThan(received.indexOf('id: 1-4\n'));
  });

  it('says resync after the tail was forgotten', async () => {
    await openStream();
    happen(1);
    tail.reset();
    stream.pump();
    await until(() => received.includes('event: resync'));
  });
});
