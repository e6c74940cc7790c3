import { readFile } from 'node:fs/promises';
import { gunzipSync } from 'node:zlib';
import { z } from 'zod';
import type { Evidence, FoundEvidence, MalformedLine } from './evidence.ts';

/** The parts of a CloudTrail record that count here (CloudTrail record contents, userIdentity element). */
const record = z.object({
  eventTime: z.string(),
  eventName: z.string(),
  eventSource: z.string(),
  readOnly: z.boolean().optional(),
  errorCode: z.string().optional(),
  userIdentity: z.object({ arn: z.string().optional(), principalId: z.string().optional() }).optional(),
});
const SESSION = /[/:](lse_[0-9a-f]{32})$/;
const READING = /^(Get|List|Head|Describe|BatchGet|Lookup|Scan|Query|Select)/;
const REFUSED = /AccessDenied|Unauthorized/;

/**
 * What sessions of AWS did, from CloudTrail's files (`{"Records": [...]}`, also gzipped). The session's name is the lease. A
 * malformed record is named by its number. Throws what the file system says.
 */
export async function readCloudTrail(files: readonly string[]): Promise<FoundEvidence> {
  const evidence: Evidence[] = [];
  const malformed: MalformedLine[] = [];
  const times = { fromMs: Infinity, toMs: -Infinity };
  for (const file of files) {
    const bytes = await readFile(file);
    for (const [index, value] of recordsOf(file, bytes, malformed).entries()) {
      const parsed = record.safeParse(value);
      const atMs = parsed.success ? Date.parse(parsed.data.eventTime) : NaN;
      if (!parsed.success || Number.isNaN(atMs)) {
        malformed.push({ file, line: index + 1, detail: 'is no record of CloudTrail' });
        continue;
      }
      times.fromMs = Math.min(times.fromMs, atMs);
      times.toMs = Math.max(times.toMs, atMs);
      const { eventName, eventSource, readOnly, errorCode, userIdentity = {} } = parsed.data;
      const lease = (SESSION.exec(userIdentity.arn ?? '') ?? SESSION.exec(userIdentity.principalId ?? ''))?.[1];
      if (lease === undefined) continue;
      const reads = readOnly ?? READING.test(eventName);
      evidence.push({ lease, atMs, effect: reads ? 'read' : 'write', what: `${eventSource.split('.')[0] ?? ''}:${eventName}`, objects: [], refused: REFUSED.test(errorCode ?? '') });
    }
  }
  return { evidence, malformed, span: times.fromMs > times.toMs ? null : times };
}

function recordsOf(file: string, bytes: Buffer, malformed: MalformedLine[]): unknown[] {
  try {
    const text = bytes[0] === 0x1f && bytes[1] === 0x8b ? gunzipSync(bytes).toString('utf8') : bytes.toString('utf8');
    return z.object({ Records: z.array(z.unknown()) }).parse(JSON.parse(text)).Records;
  } catch {
    malformed.push({ file, line: 1, detail: 'is no file of CloudTrail: {"Records": [...]} is expected' });
    return [];
  }
}
