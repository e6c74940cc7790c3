import { describe, expect, it } from '@jest/globals';
import { context, ROOT_CONTEXT } from '@opentelemetry/api';
import fc from '../support/fast-check.ts';
import { activeTrace, activeTraceId, asRequest, followTraces, newSpanContext, parseTraceparent, requestTraceId, toTraceparent, traceIdOf, withinTrace } from '../../src/telemetry/trace-context.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const SPAN = 'b7ad6b7169203331';

describe('a traceparent', () => {
  it('is read as the standard says', () => {
    expect(parseTraceparent(`00-${TRACE}-${SPAN}-01`)).toEqual({ traceId: TRACE, spanId: SPAN, traceFlags: 1, isRemote: true });
    // A flag that is not defined yet is not passed on.
    expect(parseTraceparent(`00-${TRACE}-${SPAN}-fe`)?.traceFlags).toBe(0);
    expect(parseTraceparent(`cc-${TRACE}-${SPAN}-01-of-a-later-version`)?.traceId).toBe(TRACE);
  });

  it.each([
    ['none', undefined],
    ['an empty one', ''],
    ['a trace id of zeros', `00-${'0'.repeat(32)}-${SPAN}-01`],
    ['a parent id of zeros', `00-${TRACE}-${'0'.repeat(16)}-01`],
    ['capitals', `00-${TRACE.toUpperCase()}-${SPAN}-01`],
    ['the version that is none', `ff-${TRACE}-${SPAN}-01`],
    ['more than version 00 has', `00-${TRACE}-${SPAN}-01-more`],
    ['two at once', `00-${TRACE}-${SPAN}-01, 00-${TRACE}-${SPAN}-01`],
    ['a line break', `00-${TRACE}-${SPAN}-01\n`],
  ])('is ignored where it is %s', (_name, header) => {
    expect(parseTraceparent(header)).toBeUndefined();
    expect(traceIdOf(header)).toBeNull();
  });

  it('is nothing but hex and dashes, whatever came', () => {
    const hex = (length: number) => fc.string({ unit: fc.constantFrom(...'0123456789abcdefABCDEF-\n x'.split('')), minLength: length, maxLength: length });
    fc.assert(
      fc.property(fc.tuple(hex(2), hex(32), hex(16), hex(2), fc.string()), ([version, traceId, spanId, flags, more]) => {
        const parsed = parseTraceparent(`${version}-${traceId}-${spanId}-${flags}${more}`);
        if (parsed !== undefined) expect(toTraceparent(parsed)).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$/);
      }),
    );
  });

  it('says what it was made of', () => {
    for (let round = 0; round < 100; round += 1) {
      const place = newSpanContext();
      expect(parseTraceparent(toTraceparent(place))).toEqual({ ...place, isRemote: true });
    }
  });
});

describe('the active trace', () => {
  followTraces();

  it('follows the work through its promises, and nobody else', async () => {
    const place = newSpanContext();
    await context.with(asRequest(withinTrace(place), place), async () => {
      await new Promise((resolve) => setImmediate(resolve));
      expect(activeTraceId()).toBe(place.traceId);
      expect(requestTraceId()).toBe(place.traceId);
      expect(activeTrace()).toEqual({ traceparent: toTraceparent(place) });
    });
    expect(activeTraceId()).toBeUndefined();
    expect(activeTrace()).toEqual({});
  });

  it('is no request of its own (control)', () => {
    context.with(withinTrace(newSpanContext()), () => {
      expect(activeTraceId()).toBeDefined();
      expect(requestTraceId()).toBeUndefined();
    });
    expect(context.active()).toBe(ROOT_CONTEXT);
  });
});
