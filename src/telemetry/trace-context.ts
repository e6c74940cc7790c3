import { randomBytes } from 'node:crypto';
import { context, createContextKey, isSpanContextValid, ROOT_CONTEXT, trace, TraceFlags, type Context, type SpanContext } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';

/** W3C Trace Context, section 3.2: version, trace id, parent id, flags; later versions may say more behind another dash. */
const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
/** A trace id as it is written everywhere: 16 bytes in lower-case hex, not all zero (W3C Trace Context, section 3.2.2.3). */
const TRACE_ID = /^(?!0{32})[0-9a-f]{32}$/;
/** Of the caller's flags only this one is defined. */
const SAMPLED = 0x01;
const REQUEST = createContextKey('the trace id of the request');

export const isTraceId = (text: string): boolean => TRACE_ID.test(text);

/** The place in a trace that a `traceparent` names; undefined for anything that the standard says to ignore. */
export function parseTraceparent(header: string | undefined): SpanContext | undefined {
  const [, version, traceId = '', spanId = '', flags = '', more] = TRACEPARENT.exec(header ?? '') ?? [];
  if (version === undefined || version === 'ff' || (version === '00' && more !== undefined)) return undefined;
  if (!isTraceId(traceId) || /^0+$/.test(spanId)) return undefined;
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16) & SAMPLED, isRemote: true };
}

/** A place in a trace as a `traceparent`. */
export const toTraceparent = ({ traceId, spanId, traceFlags }: SpanContext): string => `00-${traceId}-${spanId}-0${traceFlags & SAMPLED}`;

/** The trace id in a `traceparent` that was kept; null where none was. */
export const traceIdOf = (traceparent: string | undefined): string | null => parseTraceparent(traceparent)?.traceId ?? null;

/** A trace of its own that nobody records. */
export const newSpanContext = (): SpanContext => ({ traceId: randomId(16), spanId: randomId(8), traceFlags: TraceFlags.NONE });

/** The trace that the work at hand is part of: that of a request, or, where spans are recorded, of a sweep or a job. Undefined outside of any. */
export const activeTraceId = (): string | undefined => activePlace()?.traceId;

/** The trace of the request on whose behalf the work at hand is done; undefined for what the broker does by itself. */
export const requestTraceId = (): string | undefined => context.active().getValue(REQUEST) as string | undefined;

/** Marks a context as that of a request. */
export const asRequest = (within: Context, { traceId }: SpanContext): Context => within.setValue(REQUEST, traceId);

/** The place in the trace that the work at hand is part of, as a record keeps it; nothing outside of any. */
export function activeTrace(): { readonly traceparent?: string } {
  const active = activePlace();
  return active === undefined ? {} : { traceparent: toTraceparent(active) };
}

/** Where nobody records, a span outside of any trace is in none. */
function activePlace(): SpanContext | undefined {
  const active = trace.getSpanContext(context.active());
  return active !== undefined && isSpanContextValid(active) ? active : undefined;
}

/** What a record keeps of its trace, to hand on. */
export const keptTrace = ({ traceparent }: { readonly traceparent?: string }): { readonly traceparent?: string } => (traceparent === undefined ? {} : { traceparent });

/** What a span that a caller's `traceparent` names, or nothing at all, is the parent of. */
export const withinTrace = (parent: SpanContext | undefined): Context => (parent === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, parent));

/** Makes the active trace follow the work of this process through its promises. Once is enough, and again does no harm. */
export function followTraces(): void {
  const manager = new AsyncLocalStorageContextManager().enable();
  if (!context.setGlobalContextManager(manager)) manager.disable();
}

function randomId(bytes: number): string {
  const id = randomBytes(bytes).toString('hex');
  return /^0+$/.test(id) ? randomId(bytes) : id;
}
