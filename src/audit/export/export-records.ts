import type { StatedRecord } from '../read-range.ts';
import { cloudEventOf } from './cloud-event.ts';
import { ocsfEventOf } from './ocsf-event.ts';

export const EXPORT_FORMATS = ['jsonl', 'ocsf', 'cloudevents'] as const;
export type ExportFormat = (typeof EXPORT_FORMATS)[number];

/** A record as one line of an export. `jsonl`: as it stands in the log. */
export function exportLine(record: StatedRecord, format: ExportFormat, about: { readonly deploymentId: string; readonly version: string }): string {
  switch (format) {
    case 'jsonl':
      return JSON.stringify(record);
    case 'ocsf':
      return JSON.stringify(ocsfEventOf(record, about));
    case 'cloudevents':
      return JSON.stringify(cloudEventOf(record, about.deploymentId));
    default:
      return format satisfies never;
  }
}
