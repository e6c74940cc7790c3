import { describe, expect, it } from '@jest/globals';
import { EventTail } from '../../src/audit/event-tail.ts';

const entry = (n: number, after = n - 1) => ({ id: `1-${n}`, after: `1-${after}`, type: 'task.ended', json: '{}' });
const tailOf = (capacity: number, count: number): EventTail => {
  const tail = new EventTail(capacity);
  for (let n = 1; n <= count; n += 1) tail.push(entry(n));
  return tail;
};

describe('the tail of the events', () => {
  it('finds the place after any id it keeps, and after the one just before', () => {
    const tail = tailOf(10, 5);
    expect(tail.placeAfter('1-0')).toBe(tail.first);
    expect(tail.at(tail.placeAfter('1-3') ?? -1)?.id).toBe('1-4');
    expect(tail.placeAfter('1-5')).toBe(tail.end);
    expect(tail.placeAfter('0-9')).toBeUndefined();
    expect(tail.placeAfter('1-6')).toBeUndefined();
  });

  it('never keeps more than twice its capacity, and places go on', () => {
    const tail = tailOf(10, 1_000);
    expect(tail.end - tail.first).toBeLessThan(20);
    expect(tail.end - tail.first).toBeGreaterThanOrEqual(10);
    expect(tail.at(tail.end - 1)?.id).toBe('1-1000');
    expect(tail.at(0)).toBeUndefined();
    expect(tail.placeAfter('1-1')).toBeUndefined();
  });

  it('marks where something is missing, and nowhere else', () => {
    const tail = tailOf(10, 3);
    tail.push(entry(5, 4));
    tail.push(entry(6));
    expect(Array.from({ length: 5 }, (_, index) => tail.at(tail.first + index)?.gap)).toEqual([false, false, false, true, false]);
  });

  it('leaves every reader behind when it is reset', () => {
    const tail = tailOf(10, 3);
    const place = tail.end;
    tail.reset();
    expect(place).toBeLessThan(tail.first);
    expect(tail.placeAfter('1-3')).toBeUndefined();
    expect(tail.placeAfter('0-0')).toBe(tail.end);
  });
});
