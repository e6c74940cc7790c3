// Builds the dashboard where it is missing or not of these sources: `npm run build`, and what `npm start` and `npm test` do first.
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ROOT, runStep } from './run-step.js';

const SOURCES = join(ROOT, 'src/dashboard');
const BUILT = join(ROOT, 'dist/dashboard');
/** Written last, so that it says of a whole build what it was made from. */
const STAMP = join(BUILT, '.made-from');

/**
 * Builds it unless it is built already, in about a second.
 * @param {string} node the Node that runs the build
 * @returns {Promise<boolean>} whether there was anything to do
 */
export async function ensureDashboard(node) {
  const digest = digestOfSources();
  if (existsSync(STAMP) && readFileSync(STAMP, 'utf8') === digest) return false;
  const vite = join(ROOT, 'node_modules/vite/bin/vite.js');
  await runStep('the dashboard', 'dashboard.log', [node, vite, 'build', '--config', join(SOURCES, 'vite.config.js')]);
  writeFileSync(STAMP, digest);
  return true;
}

/** SHA-256 over every source and over the versions of what is bundled with them. */
function digestOfSources() {
  const hash = createHash('sha256');
  const packages = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')).devDependencies;
  for (const name of ['vite', 'preact', '@preact/signals', '@tanstack/virtual-core']) hash.update(`${name} ${packages[name]}\n`);
  for (const path of filesBelow(SOURCES).sort()) hash.update(`${relative(SOURCES, path)}\n`).update(readFileSync(path));
  return hash.digest('hex');
}

function filesBelow(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? filesBelow(path) : [path];
  });
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await ensureDashboard(process.execPath);
