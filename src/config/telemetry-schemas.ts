import { z } from 'zod';
import { filePath, httpUrl } from './config-words.ts';

const traces = z
  .strictObject({
    otlp_endpoint: httpUrl.describe('the collector, such as `https://collector.example.org:4318`; an address with a path is taken as it stands, otherwise `/v1/traces` is added. OTLP over HTTP, in JSON'),
    headers_file: filePath.optional().describe('a file of `Name: value` lines, such as an API key; read at each request'),
    sample_ratio: z.number().min(0).max(1).default(1).describe('the share of traces that begin here and are recorded. A caller that sends a `traceparent` decides about its own'),
    allow_private_addresses: z.boolean().default(false).describe('a collector on a private address; metadata addresses are refused always'),
    ca_file: filePath.optional().describe('PEM certificates to trust for it instead of the system store'),
  })
  .describe('spans, sent to a collector of OpenTelemetry. None are recorded without it; trace ids are told all the same');

export const telemetry = z.strictObject({ traces: traces.optional() }).prefault({}).describe('what the broker says of its work');
