import { describe, expect, it } from '@jest/globals';
import { SpanKind, SpanStatusCode, type Attributes } from '@opentelemetry/api';
import type { ReadableSpan } from '@opentelemetry/sdk-trace';
import { otlpJson } from '../../src/telemetry/otlp-json.ts';

const RESOURCE = { 'service.name': 'mayfly', 'service.version': '0', 'service.instance.id': 'test/all', 'deployment.environment.name': 'development' } as const;
const PLANTED = 'correct-horse-battery-staple';

const span = (attributes: Attributes, more: Partial<ReadableSpan> = {}): ReadableSpan =>
  ({
    name: 'mint',
    kind: SpanKind.CLIENT,
    spanContext: () => ({ traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), traceFlags: 1 }),
    startTime: [1_700_000_000, 5],
    endTime: [1_700_000_001, 0],
    status: { code: SpanStatusCode.ERROR, message: PLANTED },
    attributes,
    links: [{ context: { traceId: 'c'.repeat(32), spanId: 'd'.repeat(16), traceFlags: 1 }, attributes: { note: PLANTED } }],
    events: [{ time: [1_700_000_000, 6], name: 'exception', attributes: { 'exception.message': PLANTED } }],
    ...more,
  }) as unknown as ReadableSpan;

describe('what leaves for the collector', () => {
  it('is what a collector reads', () => {
    expect(JSON.parse(otlpJson([span({ 'mayfly.lease': 'lse_1', 'mayfly.leases': 3, 'mayfly.lateness_ms': 0.5 })], RESOURCE))).toMatchObject({
      resourceSpans: [
        {
          resource: { attributes: expect.arrayContaining([{ key: 'service.name', value: { stringValue: 'mayfly' } }]) },
          scopeSpans: [
            {
              spans: [
                {
                  traceId: 'a'.repeat(32),
                  spanId: 'b'.repeat(16),
                  kind: 3,
                  startTimeUnixNano: '1700000000000000005',
                  endTimeUnixNano: '1700000001000000000',
                  attributes: [
                    { key: 'mayfly.lease', value: { stringValue: 'lse_1' } },
                    { key: 'mayfly.leases', value: { intValue: '3' } },
                    { key: 'mayfly.lateness_ms', value: { doubleValue: 0.5 } },
                  ],
                  links: [{ traceId: 'c'.repeat(32), spanId: 'd'.repeat(16) }],
                  status: { code: 2 },
                },
              ],
            },
          ],
        },
      ],
    });
  });

  it.each<[string, Attributes]>([
    ['an attribute that nobody listed', { 'db.statement': PLANTED }],
    ['what BullMQ says of a failure', { 'bullmq.job.failed.reason': PLANTED }],
    ['a list', { 'mayfly.lease': [PLANTED] }],
    ['messages of status, events and links', {}],
  ])('is not %s', (_name, attributes) => {
    expect(otlpJson([span(attributes)], RESOURCE)).not.toContain(PLANTED);
  });

  it('is an attribute that is listed (control)', () => {
    expect(otlpJson([span({ 'mayfly.credential': PLANTED })], RESOURCE)).toContain(PLANTED);
  });

  it('is no token, even where one got into what is listed', () => {
    const token = `hvs.${'A1b2'.repeat(10)}`;
    const text = otlpJson([span({ 'mayfly.credential': token })], RESOURCE);
    expect(text).not.toContain(token);
    expect(() => void JSON.parse(text)).not.toThrow();
  });
});
