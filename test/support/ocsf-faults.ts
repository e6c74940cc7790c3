import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { findOcsfPython } from '../../dev/find-tools.ts';
import { OCSF_VERSION } from '../../src/audit/export/ocsf-event.ts';

/** Where `npm test` installed OCSF's schema (PyPI's `ocsf-json-schema`); undefined where it could not be had. */
export const ocsfPython = findOcsfPython();

/** The version that the events name, and the newest that was tried: what they use must be the same in both. */
const VERSIONS = [OCSF_VERSION, '1.8.0'];

/** What OCSF's own schema has against each event; an empty list for one that is as it should be. */
export function ocsfFaults(events: readonly object[]): readonly (readonly string[])[] {
  const input = JSON.stringify({ versions: VERSIONS, events });
  return JSON.parse(execFileSync(ocsfPython ?? '', [join(import.meta.dirname, 'ocsf-faults.py')], { input, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 })) as string[][];
}
