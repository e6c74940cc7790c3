import { access, constants, statfs } from 'node:fs/promises';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { dirname } from 'node:path';
import { checkpointFileOf, readCheckpoints } from '../audit/checkpoint-file.ts';
import { loadCheckpointSigners } from '../audit/checkpoint-signers.ts';
import { verifyChainFile } from '../audit/verify-chain.ts';
import type { Config } from '../config/config-schema.ts';
import { epochFileOf } from '../config/ledger-loss.ts';
import { keyStatus } from '../keys/rotate-keys.ts';
import { readEpochFile } from '../ledger/epoch-file.ts';
import { lintPolicies } from '../policy/lint-policies.ts';
import { loadPolicies, readPolicies } from '../policy/load-policies.ts';
import { failure, ok, skipped, warning, type Check, type Finding } from './check.ts';

/** The files that sign. */
export const keysCheck = ({ keys, providers, audit }: Config): Check => ({
  area: 'keys',
  async look() {
    const lists = Object.entries(providers).flatMap(([name, provider]) => (provider.type === 'jwt' ? [{ name, files: provider.signing_key_files }] : []));
    const checkpoints = keys.checkpoint_key_files ?? [];
    const found = await Promise.all([...lists, ...(checkpoints.length === 0 ? [] : [{ name: 'checkpoints', files: checkpoints }])].map(({ name, files }) => lookAtKeys(name, files)));
    const unsigned = warning('keys.checkpoints', 'the audit log is not signed: a tail that is cut off cannot be told', 'name Ed25519 keys in keys.checkpoint_key_files');
    return [...found, ...(checkpoints.length === 0 && audit.sink === 'file' ? [unsigned] : [])];
  },
});

async function lookAtKeys(name: string, files: readonly string[]): Promise<Finding> {
  const check = `keys.${name}`;
  try {
    const [signs] = await keyStatus(files);
    if (files.length < 3) return warning(check, `${files.length} of 3 key files: they cannot be rotated without a gap`, 'name three: the one that signs, the next, and a retired one');
    return ok(check, `${signs?.kid ?? ''} signs, ${files.length} are published`);
  } catch (error) {
    return failure(check, error instanceof Error ? error.message : 'cannot be read', '`openssl genpkey -algorithm ed25519` makes one');
  }
}

const LOW_SPACE_BYTES = 1024 ** 3;

/** The audit file: can it be written, is it whole, is there room. */
export const auditCheck = (config: Config): Check => ({
  area: 'audit',
  async look() {
    const { audit } = config;
    const folder = dirname(audit.file);
    const findings: Finding[] = [];
    try {
      await access(folder, constants.W_OK);
      findings.push(ok('audit.writable', folder));
    } catch {
      return [failure('audit.writable', `${folder} is missing or cannot be written`, `create it for the broker's user, mode 0700`)];
    }
    const { bavail, bsize } = await statfs(folder);
    const free = bavail * bsize;
    const gib = `${(free / LOW_SPACE_BYTES).toFixed(1)} GiB free`;
    findings.push(free < LOW_SPACE_BYTES ? warning('audit.space', gib, 'make room: when it is full, nothing is granted') : ok('audit.space', gib));
    if (audit.sink === 'stdout') return [...findings, skipped('audit.chain', 'records go to standard output; verify them where they are collected')];
    const verifiers = loadCheckpointSigners(config).map(({ verifier }) => verifier);
    const verdict = await verifyChainFile(audit.file, verifiers.length === 0 ? [] : await readCheckpoints(checkpointFileOf(audit.file), verifiers)).catch(() => undefined);
    if (verdict === undefined) findings.push(skipped('audit.chain', 'there is no audit file yet'));
    // A broker that is writing leaves an unfinished last line for a moment.
    else if (!verdict.ok && verdict.problem !== 'torn') findings.push(failure('audit.chain', `${verdict.file ?? checkpointFileOf(audit.file)}, line ${verdict.line}: ${verdict.problem}: ${verdict.detail}`, 'find out who changed it; then move it, and all that is named like it, into another folder'));
    else findings.push(ok('audit.chain', verdict.ok ? `whole: ${verdict.records} records` : 'whole up to a line that is being written'));
    return findings;
  },
});

/** What is known of the ledger outside of Redis. */
export const epochCheck = (config: Config): Check => ({
  area: 'redis',
  async look() {
    const path = epochFileOf(config);
    const fix = 'give the worker a lasting folder for it (redis.epoch_file)';
    try {
      await access(dirname(path), constants.W_OK);
    } catch {
      return [failure('redis.epoch', `${dirname(path)} is missing or cannot be written: lost records would not be noticed`, fix)];
    }
    try {
      const known = readEpochFile(path);
      if (known === null) return [skipped('redis.epoch', 'no worker has noted an epoch yet')];
      return [ok('redis.epoch', known.number === 1 ? 'no record was ever lost' : `records were lost ${known.number === 2 ? 'once' : `${known.number - 1} times`}`)];
    } catch (error) {
      return [failure('redis.epoch', error instanceof Error ? error.message : 'cannot be read', fix)];
    }
  },
});

/** The policy folder. */
export const policyCheck = ({ policy }: Config): Check => ({
  area: 'policy',
  look() {
    const shadow = policy.shadow_directory === undefined ? [] : [shadowFinding(policy.shadow_directory)];
    const findings = lintPolicies(readPolicies(policy.directory));
    const errors = findings.filter(({ level }) => level === 'error');
    const [first] = errors;
    if (first !== undefined) return Promise.resolve([failure('policy', `${first.file}${first.line === null ? '' : `:${first.line}`}: ${first.detail}`, '`mayfly policy lint` tells all of it'), ...shadow]);
    if (findings.length > 0) return Promise.resolve([warning('policy', `compiles, with ${findings.length} doubts`, '`mayfly policy lint` tells them'), ...shadow]);
    return Promise.resolve([ok('policy', 'compiles, and nothing in it is doubtful'), ...shadow]);
  },
});

/** Of the shadow policies, which decide nothing: a warning at most. */
function shadowFinding(directory: string): Finding {
  try {
    loadPolicies(directory);
    return ok('policy.shadow', 'the shadow policies compile');
  } catch (error) {
    return warning('policy.shadow', error instanceof Error ? error.message : 'does not load', 'they are not asked until they load');
  }
}

/** Ports: free for a broker that is to start, or held by one that answers. */
export const portsCheck = ({ http }: Config): Check => ({
  area: 'ports',
  look: () =>
    Promise.all([
      lookAtPort('ports.http', http.host, http.port, '/livez'),
      lookAtPort('ports.metrics', http.host, http.metrics_port, '/metrics'),
    ]),
});

async function lookAtPort(check: string, host: string, port: number, path: string): Promise<Finding> {
  if (port === 0) return ok(check, 'any free port');
  const where = `${host}:${port}`;
  const server = createServer();
  try {
    server.listen(port, host);
    await once(server, 'listening');
    server.close();
    await once(server, 'close');
    return ok(check, `${where} is free`);
  } catch (error) {
    const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : String(error);
    if (code !== 'EADDRINUSE') return failure(check, `${where} cannot be listened on (${code})`, 'mend http.host and the ports, or give the broker the right to');
    return (await answers(host, port, path)) ? ok(check, `${where}: a broker answers`) : failure(check, `${where} is taken by something that is no broker`, `stop it (\`ss -ltnp\` names it), or choose another port`);
  }
}

function answers(host: string, port: number, path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const asked = request({ host, port, path, timeout: 2_000 }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    asked.on('error', () => resolve(false)).on('timeout', () => asked.destroy());
    asked.end();
  });
}
