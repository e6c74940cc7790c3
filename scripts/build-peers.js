// What `npm run test:peers` tries Mayfly with: servers of others, built from their Go modules.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT, runStep, untilInterrupted } from './run-step.js';

/** In the versions that were tried; a variable names one that is there already. */
const PEERS = [
  { title: 'OPA', folder: 'opa', version: 'v1.22.3', programs: ['github.com/open-policy-agent/opa'], variable: 'MAYFLY_TEST_OPA' },
  { title: 'SPIRE', folder: 'spire', version: 'v1.13.3', programs: ['github.com/spiffe/spire/cmd/spire-server', 'github.com/spiffe/spire/cmd/spire-agent'], variable: 'MAYFLY_TEST_SPIRE' },
];

/** Builds what is not there yet, one after the other: each of them uses every core. Answers what could not be had, in words. */
export const buildPeers = () =>
  untilInterrupted(async () => {
    const missing = [];
    for (const peer of PEERS) await buildPeer(peer).catch((error) => missing.push(`${peer.title}: ${error.message}`));
    return missing;
  });

async function buildPeer({ title, folder, version, programs, variable }) {
  if (process.env[variable] !== undefined) return;
  const home = join(ROOT, '.mayfly/tools', folder);
  const stamp = join(home, 'installed');
  const content = `${programs.join(' ')} ${version}\n`;
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === content) return;
  const go = findGo();
  if (go === undefined) throw new Error('there is no Go to build it with: put `go` 1.26 on PATH, or set MAYFLY_GO');
  rmSync(home, { recursive: true, force: true });
  mkdirSync(home, { recursive: true, mode: 0o700 });
  // As tools of a module of ours: a module with `replace` lines cannot be installed by its version.
  const script = 'cd "$1" && go=$0 version=$2 && shift 2 && "$go" mod init peer && for p; do "$go" get -tool "$p@$version" || exit; done && "$go" build -o bin/ "$@"';
  await runStep(`${title} ${version}`, `${folder}.log`, ['sh', '-c', script, go, home, version, ...programs]);
  writeFileSync(stamp, content);
}

const findGo = () => [process.env.MAYFLY_GO, 'go', '/usr/local/go/bin/go'].find((go) => go !== undefined && spawnSync(go, ['version'], { stdio: 'ignore' }).status === 0);
