import type { StatedRecord } from '../read-range.ts';

/**
 * A record as a CloudEvent (1.0, JSON format), under the ids that webhooks and the feed use too, so that what came by either is known
 * to be the same. `data` is the whole record.
 */
export function cloudEventOf(record: StatedRecord, deploymentId: string): Readonly<Record<string, unknown>> {
  const { seq, epoch, sealed_at: sealedAt, event } = record;
  const subject = 'id' in event ? (event.task ?? event.leases[0]) : undefined;
  return {
    specversion: '1.0',
    id: 'id' in event ? event.id : `feed_${epoch}-${seq}`,
    source: `urn:mayfly:${deploymentId}`,
    type: `mayfly.${event.type}`,
    ...(subject === undefined ? {} : { subject }),
    time: 'at' in event ? event.at : sealedAt,
    datacontenttype: 'application/json',
    sequence: `${epoch}-${seq}`,
    data: record,
  };
}
