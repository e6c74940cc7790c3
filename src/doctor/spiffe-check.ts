import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config, TlsConfig } from '../config/config-schema.ts';
import { systemClock } from '../core/clock.ts';
import type { OutboundFetch } from '../identity/outbound-fetch.ts';
import { parseBundle, type Bundle } from '../identity/parse-bundle.ts';
import { createTrustBundles } from '../identity/trust-bundles.ts';
import { createWorkloadApi } from '../identity/workload-api/workload-api.ts';
import { certificateFiles } from '../identity/x509/certificate-files.ts';
import { parsePemCertificates } from '../identity/x509/certificate.ts';
import { failure, ok, skipped, warning, type Check, type Finding } from './check.ts';

/** The bundle of each trust domain, from wherever it comes. */
export function trustDomainChecks({ identity: { trust_domains: domains }, workload_api: { socket } }: Pick<Config, 'identity' | 'workload_api'>, outboundFetch: OutboundFetch): Check[] {
  const notes: string[] = [];
  const bundles = createTrustBundles(domains, { outboundFetch, clock: systemClock, log: { warn: (fields, message) => notes.push(noteOf(fields, message)) } });
  return domains.map(({ name, bundle_file: file, workload_api: pushed }) => ({
    area: 'trust_domain',
    async look() {
      const check = 'trust_domain';
      const from = file ?? 'its bundle endpoint';
      try {
        if (pushed !== undefined) return [await lookAtAgent(name, socket ?? '')];
        if (file !== undefined) return [judgeBundle(name, parseBundle(readFileSync(file, 'utf8')))];
        const authorities = (await bundles.get(name)?.authorities()) ?? [];
        return [authorities.length > 0 ? ok(check, `${name}: ${authorities.length} X.509 authorities, from ${from}`) : warning(check, `${name}: no X.509 authorities from ${from}`, 'nobody of it can call over mTLS; see whether that is meant')];
      } catch (error) {
        return [failure(check, `${name}: ${notes.at(-1) ?? (error instanceof Error ? error.message : 'its bundle cannot be had')}`, file === undefined ? 'mend the endpoint, or bundle_endpoint' : `write the trust bundle to ${file}`)];
      }
    },
  }));
}

/** An agent pushes at once what it has; longer than this it has nothing for us. */
const PUSH_MS = 3_000;
const LOOK_MS = 50;

async function lookAtAgent(name: string, socket: string): Promise<Finding> {
  const check = 'trust_domain';
  let why = 'it gives no bundle';
  const note = (fields: object, message: string): void => {
    why = noteOf(fields, message);
  };
  const agent = createWorkloadApi({ socket, clock: systemClock, log: { warn: note } });
  try {
    const bundle = agent.bundleOf(name);
    const deadlineMs = systemClock.monotonicMs() + PUSH_MS;
    while (systemClock.monotonicMs() < deadlineMs) {
      const authorities = await bundle.authorities().catch(() => undefined);
      if (authorities !== undefined && authorities.length > 0) return ok(check, `${name}: ${authorities.length} X.509 authorities, from the Workload API`);
      await sleep(LOOK_MS);
    }
    return failure(check, `${name}: nothing from the Workload API at ${socket}: ${why}`, 'see whether the agent runs, and whether it has an entry for the broker');
  } finally {
    agent.close();
  }
}

/** How a bundle stands. Pure. */
export function judgeBundle(name: string, { jwtAuthorities, x509Authorities, passedOver }: Bundle): Finding {
  const check = 'trust_domain';
  const found = `${name}: ${jwtAuthorities.size} JWT and ${x509Authorities.length} X.509 authorities`;
  const [first] = passedOver;
  if (jwtAuthorities.size + x509Authorities.length === 0) return warning(check, `${name}: its bundle is empty, so everybody of it is refused`, 'write the bundle anew, unless it is meant to be stopped');
  return first === undefined ? ok(check, found) : warning(check, `${found}; ${passedOver.length} keys cannot be used: ${first}`, 'mend them where the bundle is made');
}

function noteOf(fields: object, message: string): string {
  return 'err' in fields && fields.err instanceof Error ? fields.err.message : message;
}

/** An SVID is written anew at half of its life; what is closer to its end than this was forgotten. */
const SOON_MS = 60_000;

/** What the TLS listener shows. */
export const tlsCheck = ({ certificate }: TlsConfig): Check => ({
  area: 'tls',
  look() {
    const check = 'tls.certificate';
    if (certificate.source === 'workload_api') return Promise.resolve([skipped(check, 'comes from the Workload API')]);
    const fix = 'write a certificate and its key to tls.certificate.certificate_file and key_file';
    try {
      certificateFiles({ certificateFile: certificate.certificate_file, keyFile: certificate.key_file }, { warn: () => undefined }).close();
      const [own] = parsePemCertificates(readFileSync(certificate.certificate_file, 'utf8'));
      const leftMs = (own?.notAfter.getTime() ?? 0) - systemClock.now();
      if (leftMs <= 0) return Promise.resolve([failure(check, 'has expired', fix)]);
      const until = `valid until ${own?.notAfter.toISOString() ?? ''}`;
      return Promise.resolve([leftMs < SOON_MS ? warning(check, until, 'see whether anything renews it') : ok(check, until)]);
    } catch (error) {
      return Promise.resolve([failure(check, error instanceof Error ? error.message : 'cannot be used', fix)]);
    }
  },
});
