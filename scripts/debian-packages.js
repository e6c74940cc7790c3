// Installs Debian packages without letting Debian start what it installs: on fixed ports, for the whole machine, for good.
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { runStep } from './run-step.js';

/** Marks files as ours, so that those of a start that was killed half way are found and removed by the next. */
const MARK = '# Placed by `npm start` of Mayfly while it installs packages; safe to remove.';

/** @typedef {{ path: string, content: string, mode: number }} Guard */

/** @type {readonly Guard[]} */
export const GUARDS = [
  // Asked by every package before it starts a service (invoke-rc.d(8)); 101 is "action forbidden by policy".
  { path: '/usr/sbin/policy-rc.d', content: `#!/bin/sh\n${MARK}\nexit 101\n`, mode: 0o755 },
  { path: '/etc/postgresql-common/createcluster.d/mayfly.conf', content: `${MARK}\ncreate_main_cluster = false\n`, mode: 0o644 },
];

/**
 * Installs packages as root. What was in the place of the guards is there again afterwards, come what may.
 * @param {readonly string[]} packages
 */
export async function installDebianPackages(packages) {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const what = `Debian packages ${packages.join(', ')}`;
  const options = ['-o', 'Dpkg::Options::=--force-confold', '-o', 'DPkg::Lock::Timeout=120'];
  const install = () =>
    runStep(what, 'apt-install.log', ['apt-get', 'install', '-y', '-q', '--no-install-recommends', ...options, ...packages], env);
  liftGuards();
  GUARDS.forEach((guard) => placeGuard(guard));
  try {
    await install().catch(async () => {
      // No package lists yet, old ones, or an installation that was cut off half way.
      await runStep('Debian package lists', 'apt-update.log', ['sh', '-c', 'dpkg --configure -a && apt-get update -q'], env);
      await install();
    });
  } finally {
    liftGuards();
  }
}

/**
 * Removes our guards, also those of a start that was killed, and puts back what was there before.
 * @param {readonly Guard[]} guards
 */
export function liftGuards(guards = GUARDS) {
  for (const { path } of guards) {
    if (existsSync(path) && isOurs(path)) rmSync(path);
    if (existsSync(before(path))) renameSync(before(path), path);
  }
}

/**
 * Puts one guard in place; what is there, unless it is ours, is kept beside it.
 * @param {Guard} guard
 */
export function placeGuard({ path, content, mode }) {
  mkdirSync(dirname(path), { recursive: true });
  if (existsSync(path) && !isOurs(path)) renameSync(path, before(path));
  writeFileSync(path, content, { mode });
}

const isOurs = (path) => readFileSync(path, 'utf8').includes(MARK);
const before = (path) => `${path}.before-mayfly`;
