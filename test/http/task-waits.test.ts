import { EventEmitter } from 'node:events';
import { describe, expect, it } from '@jest/globals';
import type { Request, Response } from 'express';
import { TaskWaits, wantedSeconds } from '../../src/http/task-waits.ts';
import type { Task } from '../../src/task/task.ts';

describe('Prefer: wait', () => {
  it.each<readonly [string | undefined, number | undefined]>([
    ['wait=30', 30],
    ['wait=0', 0],
    ['Wait = "5"', 5],
    ['respond-async, wait=10;x=y', 10],
    ['wait=10, wait=20', 10],
    ['wait=3600', 60],
    ['wait', undefined],
    ['wait=', undefined],
    ['wait=-1', undefined],
    ['wait=1.5', undefined],
    ['wait="5', undefined],
    ['await=30', undefined],
    ['', undefined],
    [undefined, undefined],
  ])('%p asks for %p seconds', (header, seconds) => {
    expect(wantedSeconds(header)).toBe(seconds);
  });
});

describe('waiting for a task', () => {
  const task = { id: 'tsk_1', state: 'pending_approval' } as unknown as Task;
  const caller = (): { request: Request; response: Response & EventEmitter } => ({
    request: { get: () => 'wait=60' } as unknown as Request,
    response: Object.assign(new EventEmitter(), { set: () => undefined }) as unknown as Response & EventEmitter,
  });

  it('ends when the caller hangs up, and leaves no listener', async () => {
    let looks = 0;
    const waits = new TaskWaits({ ledger: { getTask: () => Promise.resolve((looks += 1) > 0 ? task : null) }, stopping: () => false });
    const { request, response } = caller();
    const waiting = waits.untilMoved(task, request, response);
    response.emit('close');
    expect(await waiting).toBe(task);
    expect(looks).toBeLessThanOrEqual(1);
    expect(response.listenerCount('close')).toBe(0);
  });

  it('keeps nobody when the process is about to end, and nobody who is one too many', async () => {
    const full = new TaskWaits({ ledger: { getTask: () => Promise.resolve(task) }, stopping: () => false });
    const callers = Array.from({ length: 500 }, caller);
    const waiting = callers.map(({ request, response }) => full.untilMoved(task, request, response));
    const late = caller();
    expect(await full.untilMoved(task, late.request, late.response)).toBe(task);
    for (const { response } of callers) response.emit('close');
    await Promise.all(waiting);
    const stopping = new TaskWaits({ ledger: { getTask: () => Promise.resolve(task) }, stopping: () => true });
    expect(await stopping.untilMoved(task, late.request, late.response)).toBe(task);
  });
});
