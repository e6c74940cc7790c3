import { context, SpanKind, SpanStatusCode, trace, type Link, type Span } from '@opentelemetry/api';
import { Problem } from '../core/problem.ts';
import { activeTrace, activeTraceId, parseTraceparent } from './trace-context.ts';

/**
 * All that a span may say: names from the configuration, words of short lists, ids and numbers. No text that a caller or a
 * target wrote, no path, no secret. The exporter lets nothing else through.
 */
export const SPAN_FACTS = [
  'mayfly.task', 'mayfly.lease', 'mayfly.leases', 'mayfly.provider', 'mayfly.credential', 'mayfly.kind', 'mayfly.decision', 'mayfly.result', 'mayfly.policy_version',
  'mayfly.outcome', 'mayfly.reason', 'mayfly.lateness_ms', 'http.request.method', 'http.route', 'http.response.status_code', 'rpc.system', 'rpc.method', 'error.type',
  // What BullMQ says of a job.
  'bullmq.queue.name', 'bullmq.queue.operation', 'bullmq.job.id',
] as const;
export type SpanFacts = Partial<Record<(typeof SPAN_FACTS)[number], string | number>>;

export interface SpanOptions {
  readonly facts?: SpanFacts;
  /** A `traceparent` of another trace that this has to do with. */
  readonly linkTo?: string | undefined;
  /** Whether it is a call of another system. */
  readonly calls?: boolean;
}

/** A span of ours, while it lasts. */
export interface OpenSpan {
  tell(facts: SpanFacts): void;
  /** Failed, told by its kind alone: a message could hold anything. */
  fail(error: unknown): void;
  end(): void;
}

/** Starts a span below the active one; whoever starts it ends it. */
export const openSpan = (name: string, options: SpanOptions = {}): OpenSpan => asOpen(start(name, options));

/** Does the work inside a span of its own. */
export async function inSpan<T>(name: string, options: SpanOptions, work: (span: OpenSpan) => Promise<T>): Promise<T> {
  const span = start(name, options);
  const open = asOpen(span);
  try {
    return await context.with(trace.setSpan(context.active(), span), () => work(open));
  } catch (error) {
    open.fail(error);
    throw error;
  } finally {
    open.end();
  }
}

/** What to send along so that another system's spans are below the active one; nothing outside of any trace. */
export function tracingHeaders(): Readonly<Record<string, string>> {
  const { traceparent } = activeTrace();
  return traceparent === undefined ? {} : { traceparent };
}

const start = (name: string, { facts = {}, linkTo, calls = false }: SpanOptions): Span =>
  trace.getTracer('mayfly').startSpan(name, { kind: calls ? SpanKind.CLIENT : SpanKind.INTERNAL, attributes: facts, links: links(linkTo) });

/** To another trace only: of its own a span has its parent. */
function links(traceparent: string | undefined): Link[] {
  const linked = parseTraceparent(traceparent);
  return linked === undefined || linked.traceId === activeTraceId() ? [] : [{ context: linked }];
}

const asOpen = (span: Span): OpenSpan => ({
  tell: (facts) => void span.setAttributes(facts),
  fail(error) {
    const facts: SpanFacts = { 'error.type': error instanceof Problem ? error.code : error instanceof Error ? error.name : 'unknown' };
    span.setAttributes(facts).setStatus({ code: SpanStatusCode.ERROR });
  },
  end: () => span.end(),
});
