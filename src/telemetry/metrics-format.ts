import { Registry, type Metric } from '@prometheus-io/client';

/** What a reader can ask for: OpenMetrics 1.0 has the exemplars, the older text format of Prometheus everybody reads. */
export type MetricsFormat = 'prometheus' | 'openmetrics';

/**
 * The same metrics in a format. Each time in a registry of its own: the client renames a counter for good when it is first
 * shown as OpenMetrics, where the family of `x_total` is called `x`.
 */
export function inFormat(format: MetricsFormat, metrics: Registry): Registry {
  const isOpen = format === 'openmetrics';
  const shown = new Registry(isOpen ? Registry.OPENMETRICS_CONTENT_TYPE : Registry.PROMETHEUS_CONTENT_TYPE);
  for (const metric of metrics.getMetricsAsArray()) {
    const name = { value: isOpen && isCounter(metric) ? metric.name.replace(/_total$/, '') : metric.name, writable: true };
    shown.registerMetric(Object.create(metric, { name }) as Metric<string>);
  }
  return shown;
}

const isCounter = ({ type }: { readonly type: unknown }): boolean => type === 'counter';
