import type { RequestListener } from 'node:http';
import type { Metrics } from './metrics.ts';

/** Answers `/metrics`, for a port of its own. `refresh` runs before each page. */
export function createMetricsApp(metrics: Metrics, refresh: () => Promise<void>): RequestListener {
  return (request, response) => {
    if (request.method !== 'GET' || request.url?.split('?')[0] !== '/metrics') {
      response.writeHead(404).end();
      return;
    }
    // A lost Redis must not take the metrics with it: what cannot be refreshed keeps its last value.
    void refresh()
      .catch(() => undefined)
      .then(() => metrics.render(asksForOpenMetrics(request.headers.accept) ? 'openmetrics' : 'prometheus'))
      .then(({ contentType, page }) => response.writeHead(200, { 'Content-Type': contentType }).end(page))
      .catch(() => response.writeHead(500).end());
  };
}

/** Prometheus asks for it before anything else; a person with curl does not. */
const asksForOpenMetrics = (accept: string | undefined): boolean => /application\/openmetrics-text(?!;q=0(?:\.0*)?(?:[,\s]|$))/.test(accept ?? '');
