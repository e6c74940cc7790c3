import { readFileSync } from 'node:fs';
import { context, INVALID_SPAN_CONTEXT, isSpanContextValid, propagation, trace, type Context, type TextMapPropagator } from '@opentelemetry/api';
import { SpanKind as JobSpanKind, type Telemetry } from 'bullmq';
import type { SpanExporter } from '@opentelemetry/sdk-trace';
import type { Config } from '../config/config-schema.ts';
import { otlpJson, type TraceResource } from './otlp-json.ts';
import { parseTraceparent, toTraceparent } from './trace-context.ts';

/** The SDK's own type for it is an enumeration of a package that it alone depends on. */
type ExportDone = (result: { readonly code: number }) => void;
export type TracesConfig = NonNullable<Config['telemetry']['traces']>;

export interface TracingDeps {
  readonly traces: TracesConfig;
  readonly resource: TraceResource;
  /** The way out to the collector, and to nothing else. */
  readonly post: (url: string, request: { readonly text: string; readonly headers: Readonly<Record<string, string>> }) => Promise<{ readonly status: number }>;
  /** Spans that were taken, or that were lost. */
  readonly observe: (outcome: 'sent' | 'lost', spans: number) => void;
  readonly log: { warn(fields: object, message: string): void; info(fields: object, message: string): void };
}

export interface Tracing {
  /** For BullMQ: the trace goes on from who queues a job to who works on it. */
  readonly jobs: Telemetry;
  /** Sends what is left, for at most two seconds. */
  stop(): Promise<void>;
}

/** As the SDK numbers what came of an export. */
const TAKEN = 0;
const LOST = 1;
/** Spans kept for a collector that is slow; what comes beyond is lost. */
const MAX_QUEUED = 2_048;
const SEND_EVERY_MS = 2_000;
/** Longer than what the way out allows for one request. */
const SEND_TIMEOUT_MS = 6_000;
/** A stop waits no longer for a collector. */
const LAST_SEND_MS = 2_000;

/**
 * Records spans and sends them to a collector, by OTLP over HTTP in JSON. Nothing waits for it: a collector that is away or
 * slow costs its spans and nothing else. The SDK is loaded here, and only here.
 */
export async function startTracing({ traces, resource, post, observe, log }: TracingDeps): Promise<Tracing> {
  const { BatchSpanProcessor, ParentBasedSampler, TraceIdRatioBasedSampler, TracerProvider } = await import('@opentelemetry/sdk-trace');
  const url = collectorUrl(traces.otlp_endpoint);
  let taken = true;

  async function send(text: string): Promise<boolean> {
    try {
      const { status } = await post(url, { text, headers: headersIn(traces.headers_file) });
      if (status >= 200 && status < 300) {
        if (!taken) log.info({}, 'spans are taken again');
        taken = true;
        return true;
      }
      if (taken) log.warn({ status }, 'the collector does not take spans; they are lost');
    } catch (error) {
      // Its name alone: a message could repeat a header.
      if (taken) log.warn({ error: error instanceof Error ? error.name : 'unknown' }, 'the collector was not reached; spans are lost');
    }
    taken = false;
    return false;
  }

  const exporter: SpanExporter = {
    export(spans, done) {
      const report: ExportDone = done;
      void send(otlpJson(spans, resource)).then((isTaken) => {
        observe(isTaken ? 'sent' : 'lost', spans.length);
        report({ code: isTaken ? TAKEN : LOST });
      });
    },
    shutdown: () => Promise.resolve(),
  };
  const provider = new TracerProvider({
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(traces.sample_ratio) }),
    spanProcessors: [new BatchSpanProcessor({ exporter, maxQueueSize: MAX_QUEUED, scheduledDelayMillis: SEND_EVERY_MS, exportTimeoutMillis: SEND_TIMEOUT_MS })],
  });
  trace.setGlobalTracerProvider(provider);
  propagation.setGlobalPropagator(TRACEPARENT_ONLY);
  return {
    jobs: await jobTelemetry(),
    async stop() {
      trace.disable();
      propagation.disable();
      await Promise.race([provider.shutdown().catch(() => undefined), new Promise((resolve) => setTimeout(resolve, LAST_SEND_MS).unref())]);
    },
  };
}

/** As other OTLP exporters take it: an address without a path is that of the collector, any other that of its traces. */
function collectorUrl(endpoint: string): string {
  const url = new URL(endpoint);
  return url.pathname === '/' ? new URL('/v1/traces', url).href : url.href;
}

/** `Name: value` lines; read for each request, so that it can be replaced. */
function headersIn(file: string | undefined): Readonly<Record<string, string>> {
  if (file === undefined) return {};
  const lines = readFileSync(file, 'utf8').split('\n').map((line) => line.trim()).filter((line) => line !== '');
  return Object.fromEntries(lines.map((line) => [line.split(':', 1)[0] ?? '', line.slice(line.indexOf(':') + 1).trim()]));
}

/** No baggage and no vendor's state: what callers write there would otherwise be carried on. */
const TRACEPARENT_ONLY: TextMapPropagator = {
  inject(within: Context, carrier: unknown, setter) {
    const place = trace.getSpanContext(within);
    if (place !== undefined && isSpanContextValid(place)) setter.set(carrier, 'traceparent', toTraceparent(place));
  },
  extract(within: Context, carrier: unknown, getter) {
    const given = getter.get(carrier, 'traceparent');
    const place = parseTraceparent(typeof given === 'string' ? given : undefined);
    return place === undefined ? within : trace.setSpanContext(within, place);
  },
  fields: () => ['traceparent'],
};

/** Spans of adding a job and of working on it. BullMQ has one for each look at a queue, too: those tell nobody anything. */
async function jobTelemetry(): Promise<Telemetry<Context>> {
  const { BullMQOtel, BullMQOTelSpan } = await import('bullmq-otel');
  const telemetry = new BullMQOtel({ tracerName: 'mayfly' });
  const { tracer, contextManager } = telemetry;
  return {
    contextManager,
    tracer: {
      startSpan(name, options, within) {
        if (options?.kind !== JobSpanKind.INTERNAL) return tracer.startSpan(name, options, within);
        return new BullMQOTelSpan(trace.wrapSpanContext(trace.getSpanContext(within ?? context.active()) ?? INVALID_SPAN_CONTEXT));
      },
    },
  };
}
