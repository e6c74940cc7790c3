import type { Attributes, HrTime } from '@opentelemetry/api';
import type { ReadableSpan } from '@opentelemetry/sdk-trace';
import { SPAN_FACTS, type SpanFacts } from './in-span.ts';
import { stripSecrets } from './strip-secrets.ts';

/** Who the spans are from. */
export type TraceResource = Readonly<Record<'service.name' | 'service.version' | 'service.instance.id' | 'deployment.environment.name', string>>;

const TOLD: ReadonlySet<string> = new Set(SPAN_FACTS);

/**
 * Spans as an OTLP request in JSON (opentelemetry-proto 1.x, `ExportTraceServiceRequest`). Of each only what is listed: names,
 * times, links and known facts. Events and messages of status stay here, since libraries put the text of errors there.
 */
export const otlpJson = (spans: readonly ReadableSpan[], resource: TraceResource): string =>
  stripSecrets(JSON.stringify({ resourceSpans: [{ resource: { attributes: keyValues(resource) }, scopeSpans: [{ scope: { name: 'mayfly' }, spans: spans.map(otlpSpan) }] }] }));

function otlpSpan(span: ReadableSpan) {
  const { traceId, spanId, traceFlags } = span.spanContext();
  return {
    traceId,
    spanId,
    ...(span.parentSpanContext === undefined ? {} : { parentSpanId: span.parentSpanContext.spanId }),
    flags: traceFlags,
    name: span.name,
    // The protocol's kinds begin with "unspecified".
    kind: span.kind + 1,
    startTimeUnixNano: nanoseconds(span.startTime),
    endTimeUnixNano: nanoseconds(span.endTime),
    attributes: keyValues(span.attributes, TOLD),
    links: span.links.map(({ context }) => ({ traceId: context.traceId, spanId: context.spanId })),
    status: { code: span.status.code },
  };
}

interface KeyValue {
  readonly key: string;
  readonly value: { readonly stringValue: string } | { readonly intValue: string } | { readonly doubleValue: number };
}

function keyValues(attributes: Attributes | SpanFacts, told?: ReadonlySet<string>): KeyValue[] {
  return Object.entries(attributes).flatMap(([key, value]: [string, unknown]): KeyValue[] => {
    if (told?.has(key) === false) return [];
    if (typeof value === 'string') return [{ key, value: { stringValue: value } }];
    if (typeof value !== 'number') return [];
    // 64-bit integers are strings in the JSON of protocol buffers.
    return [{ key, value: Number.isInteger(value) ? { intValue: String(value) } : { doubleValue: value } }];
  });
}

const nanoseconds = ([seconds, nanos]: HrTime): string => String(BigInt(seconds) * 1_000_000_000n + BigInt(nanos));
