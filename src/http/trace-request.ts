import { context, isSpanContextValid, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace, type SpanContext } from '@opentelemetry/api';
import type { RequestHandler, Response } from 'express';
import { asRequest, newSpanContext, parseTraceparent, toTraceparent, withinTrace } from '../telemetry/trace-context.ts';

/**
 * Puts each request into a trace: the one its `traceparent` names, else a new one. The answer carries it, and all that is
 * done, logged and recorded on the way knows it. Nothing is decided by what a caller says here.
 */
export const traceRequest: RequestHandler = (request, response, next) => {
  const parent = parseTraceparent(request.get('traceparent'));
  const span = trace.getTracer('mayfly').startSpan(request.method, { kind: SpanKind.SERVER, attributes: { 'http.request.method': request.method } }, withinTrace(parent));
  // Where nobody records, a span has its parent's place, or none.
  const isPlaced = isSpanContextValid(span.spanContext());
  const place = isPlaced ? span.spanContext() : newSpanContext();
  response.locals['trace'] = place;
  response.set('traceparent', toTraceparent(place));
  response.once('close', () => {
    const route = routeOf(request.route);
    span.updateName(`${request.method} ${route}`).setAttributes({ 'http.route': route, 'http.response.status_code': response.statusCode });
    if (response.statusCode >= 500) span.setStatus({ code: SpanStatusCode.ERROR });
    span.end();
  });
  const within = isPlaced ? trace.setSpan(ROOT_CONTEXT, span) : withinTrace(place);
  context.with(asRequest(within, place), next);
};

/** The trace of the request that is being answered. */
export const requestTraceOf = (response: Response): string => (response.locals['trace'] as SpanContext).traceId;

/** The pattern of a route, never a path: a path holds ids. */
export function routeOf(route: unknown): string {
  const path = (route as { path?: unknown } | undefined)?.path;
  return String(Array.isArray(path) ? path[0] : (path ?? 'other'));
}
