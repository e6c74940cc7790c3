import { accessSync, constants, statSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { looksSecret } from '../telemetry/strip-secrets.ts';
import { isLoopback } from './loopback.ts';
import type { RuleFault } from './rules/rule-fault.ts';
import type { Config } from './config-schema.ts';
import type { ConfigPath } from './load-config.ts';

/** `optional`: what decides nothing may be missing, and must not keep a broker from starting. */
type FileKind = 'secret' | 'public' | 'directory' | 'written' | 'optional';

interface ConfigFile {
  readonly key: ConfigPath;
  readonly path: string;
  readonly kind: FileKind;
}

/** Faults of the files a configuration names: missing, unreadable, empty, or, in production, a secret that others can read. */
export function fileFaults(config: Config): RuleFault[] {
  const named = filesOf(config).flatMap((file) => {
    const detail = fileFault(file, config.environment);
    return detail === null ? [] : [{ key: file.key, detail }];
  });
  return named.length > 0 ? named : contentFaults(config);
}

/** Every file and folder that the configuration names. */
export function filesOf(config: Config): ConfigFile[] {
  const files: ConfigFile[] = [];
  const add = (kind: FileKind, key: ConfigPath, path: string | undefined): void => {
    if (path !== undefined) files.push({ key, path, kind });
  };
  add('secret', ['keys', 'ledger_seal_file'], config.keys.ledger_seal_file);
  for (const [index, file] of (config.keys.checkpoint_key_files ?? []).entries()) add('secret', ['keys', 'checkpoint_key_files', index], file);
  for (const [index, file] of (config.keys.receipt_key_files ?? []).entries()) add('secret', ['keys', 'receipt_key_files', index], file);
  add('secret', ['redis', 'url_file'], config.redis.url_file);
  add('directory', ['policy', 'directory'], config.policy.directory);
  add('optional', ['policy', 'shadow_directory'], config.policy.shadow_directory);
  add('secret', ['policy', 'external', 'token_file'], config.policy.external?.token_file);
  add('public', ['policy', 'external', 'ca_file'], config.policy.external?.ca_file);
  add('written', ['audit', 'file'], config.audit.file);
  add('secret', ['telemetry', 'traces', 'headers_file'], config.telemetry.traces?.headers_file);
  add('public', ['telemetry', 'traces', 'ca_file'], config.telemetry.traces?.ca_file);
  add('written', ['redis', 'epoch_file'], config.redis.epoch_file);
  add('public', ['operators', 'ca_file'], config.operators.ca_file);
  add('secret', ['operators', 'sign_in', 'client_secret_file'], config.operators.sign_in?.client_secret_file);
  add('secret', ['operators', 'sign_in', 'client_key_file'], config.operators.sign_in?.client_key_file);
  add('public', ['identity', 'users', 'ca_file'], config.identity.users?.ca_file);
  for (const [index, issuer] of config.identity.issuers.entries()) {
    const key = ['identity', 'issuers', index];
    add('public', [...key, 'ca_file'], issuer.ca_file);
    add('public', [...key, 'token_review', 'ca_file'], issuer.token_review?.ca_file);
    // Kubernetes mounts it so that every user of the pod can read it.
    add('public', [...key, 'token_review', 'token_file'], issuer.token_review?.token_file);
  }
  for (const [index, { bundle_file: bundle, bundle_endpoint: endpoint }] of config.identity.trust_domains.entries()) {
    const key = ['identity', 'trust_domains', index];
    add('public', [...key, 'bundle_file'], bundle);
    if (endpoint?.profile === 'https_web') add('public', [...key, 'bundle_endpoint', 'ca_file'], endpoint.ca_file);
    if (endpoint?.profile === 'https_spiffe') add('public', [...key, 'bundle_endpoint', 'bootstrap_file'], endpoint.bootstrap_file);
  }
  if (config.tls?.certificate.source === 'files') {
    add('public', ['tls', 'certificate', 'certificate_file'], config.tls.certificate.certificate_file);
    add('secret', ['tls', 'certificate', 'key_file'], config.tls.certificate.key_file);
  }
  for (const [index, notice] of config.notices.entries()) {
    add('secret', ['notices', index, 'url_file'], notice.url_file);
    add('secret', ['notices', index, 'secret_file'], notice.secret_file);
  }
  for (const [index, transmitter] of config.signals.transmitters.entries()) add('public', ['signals', 'transmitters', index, 'ca_file'], transmitter.ca_file);
  for (const [index, webhook] of config.webhooks.entries()) {
    for (const [position, file] of webhook.secret_files.entries()) add('secret', ['webhooks', index, 'secret_files', position], file);
    add('public', ['webhooks', index, 'ca_file'], webhook.ca_file);
  }
  for (const [index, client] of config.oauth.clients.entries()) add('public', ['oauth', 'clients', index, 'jwks_file'], client.jwks_file);
  for (const [name, provider] of Object.entries(config.providers)) {
    const key = ['providers', name];
    if (provider.type === 'jwt') {
      for (const [index, file] of provider.signing_key_files.entries()) add('secret', [...key, 'signing_key_files', index], file);
      continue;
    }
    if (provider.type === 'aws-sts') {
      for (const [right, login] of Object.entries(provider.login)) {
        const at = [...key, 'login', right];
        if (login.method === 'credentials_file') add('secret', [...at, 'credentials_file'], login.credentials_file);
        // Written by the kubelet, as below.
        else if (login.method === 'web_identity') add('public', [...at, 'token_file'], login.token_file);
      }
      continue;
    }
    add('public', [...key, 'ca_file'], provider.ca_file);
    for (const [right, login] of Object.entries(provider.login)) {
      const at = [...key, 'login', right];
      if (login.method === 'token_file') add('secret', [...at, 'file'], login.file);
      else if (login.method === 'jwt') add('secret', [...at, 'jwt_file'], login.jwt_file);
      else if (login.method === 'jwt_svid') continue;
      // The kubelet writes it readable to all, in a volume that only this pod sees.
      else if (login.method === 'kubernetes') add('public', [...at, 'token_file'], login.token_file);
      else for (const field of ['role_id_file', 'secret_id_file'] as const) add('secret', [...at, field], login[field]);
    }
  }
  return files;
}

function fileFault({ path, kind }: ConfigFile, environment: Config['environment']): string | null {
  // Somebody who pastes the secret itself where its file belongs must not find it in a log.
  const name = looksSecret(path) ? 'a file' : path;
  if (kind === 'optional') return null;
  if (kind === 'written') return canWrite(path) || canWrite(dirname(path)) ? null : `names ${name}, which cannot be written`;
  try {
    // Mounted secrets are often links into a volume: what counts is the file itself.
    const found = statSync(path);
    accessSync(path, constants.R_OK);
    if (kind === 'directory') return found.isDirectory() ? null : `names ${name}, which is not a folder`;
    if (!found.isFile()) return `names ${name}, which is not a file`;
    if (found.size === 0) return `names ${name}, which is empty`;
    return kind === 'secret' && environment === 'production' && isTooOpen(found) ? `names ${name}, which others can read or change; make it 0600` : null;
  } catch {
    return `names ${name}, which is not there or cannot be read`;
  }
}

/**
 * Others may do nothing, and the group may not write. The group may read only where the file is not ours to tighten:
 * Kubernetes mounts secrets as owned by root and readable by the pod's group (`fsGroup`).
 */
function isTooOpen({ mode, uid }: { readonly mode: number; readonly uid: number }): boolean {
  const ours = uid === process.getuid?.();
  return (mode & (ours ? 0o077 : 0o027)) !== 0;
}

function canWrite(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** HMAC-SHA-256 wants a key as long as its output (RFC 2104 section 3). */
const SEAL_BYTES = 32;

function contentFaults({ keys, redis, environment }: Config): RuleFault[] {
  const faults: RuleFault[] = [];
  if (readFileSync(keys.ledger_seal_file).length < SEAL_BYTES) faults.push({ key: ['keys', 'ledger_seal_file'], detail: `must hold at least ${SEAL_BYTES} bytes` });
  if (redis.url_file === undefined) return faults;
  const url = URL.parse(readFileSync(redis.url_file, 'utf8').trim());
  const key = ['redis', 'url_file'];
  if (url === null || !/^rediss?:$/.test(url.protocol)) faults.push({ key, detail: 'must hold a redis or rediss URL, and nothing else' });
  else if (environment === 'development' && !isLoopback(url.hostname)) faults.push({ key, detail: 'must hold the URL of a loopback address in development' });
  return faults;
}
