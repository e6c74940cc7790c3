import { describe, expect, it } from '@jest/globals';
import { budget, counted, duration, readable, seconds } from '../../src/dashboard/words.ts';

describe('the words of others', () => {
  it.each([
    ['a name as it is', 'agent:refunds', 'agent:refunds'],
    ['markup as it is', '<b>&', '<b>&'],
    ['letters of any script', 'Zürich 東京 שלום 🦋', 'Zürich 東京 שלום 🦋'],
    ['what turns the direction of writing', 'pay \u202e001\u202c', 'pay ⟨U+202E⟩001⟨U+202C⟩'],
    ['what has no width', 'or\u200bders', 'or⟨U+200B⟩ders'],
    ['what begins a line', 'a\u2028b\nc', 'a⟨U+2028⟩b⟨U+000A⟩c'],
    ['a tag character beyond the first plane', 'a\u{e0041}', 'a⟨U+E0041⟩'],
  ])('shows %s', (_what, text, shown) => expect(readable(text)).toBe(shown));
});

describe('numbers', () => {
  it.each([[65_400, '1:05'], [7_200_000, '2:00:00'], [0, '0:00'], [3_599_999, '59:59']])('shows %i ms as %s', (ms, shown) => expect(duration(ms)).toBe(shown));
  it.each([[null, '–'], [0.0404, '40 ms'], [1.24, '1.2 s'], [125, '2:05']])('shows a latency of %p s as %s', (value, shown) => expect(seconds(value)).toBe(shown));
  it.each([[1, '100 % of the error budget left'], [0.2504, '25 % of the error budget left'], [-0.2, 'The error budget is spent 1.2 times over'], [-65.67, 'The error budget is spent 67 times over']])('shows %p of a budget as %s', (left, shown) => expect(budget(left)).toBe(shown));
  it.each([[1, '1 lease'], [0, '0 leases'], [12_345, '12,345 leases']])('counts %i', (number, shown) => expect(counted(number, 'lease')).toBe(shown));
});
