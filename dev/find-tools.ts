import { accessSync, constants, readdirSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';

const repository = dirname(import.meta.dirname);

/** The OpenBao executable: `MAYFLY_BAO_BIN`, else PATH, else where `npm start` installs it. Throws when there is none. */
export function findBao(): string {
  const named = process.env['MAYFLY_BAO_BIN'];
  const candidates = named === undefined ? [...onPath('bao'), join(repository, '.mayfly/tools/openbao/bin/bao')] : [named];
  return firstExecutable(candidates, 'OpenBao was not found: set MAYFLY_BAO_BIN, or put `bao` on PATH');
}

/** The AWS emulator: `MAYFLY_MINISTACK_BIN`, else PATH, else where `npm start` installs it. Throws when there is none. */
export function findMinistack(): string {
  const named = process.env['MAYFLY_MINISTACK_BIN'];
  const candidates = named === undefined ? [...onPath('ministack'), join(repository, '.mayfly/tools/ministack/bin/ministack')] : [named];
  return firstExecutable(candidates, 'The AWS emulator was not found: set MAYFLY_MINISTACK_BIN, or put `ministack` on PATH');
}

/** The folder with `postgres` and `initdb`: `MAYFLY_PG_BIN`, else Debian's newest, else PATH. Throws when there is none. */
export function findPostgresBin(): string {
  const named = process.env['MAYFLY_PG_BIN'];
  const candidates = named === undefined ? [...debianPostgres(), ...onPath('initdb')] : [join(named, 'initdb')];
  return dirname(firstExecutable(candidates, 'PostgreSQL was not found: install it, or set MAYFLY_PG_BIN to its bin folder'));
}

function debianPostgres(): string[] {
  const root = '/usr/lib/postgresql';
  try {
    const versions = readdirSync(root).filter((entry) => /^\d+$/.test(entry));
    return versions.sort((a, b) => Number(b) - Number(a)).map((version) => join(root, version, 'bin/initdb'));
  } catch {
    return [];
  }
}

/** A Chromium for the tests of the dashboard: `MAYFLY_CHROMIUM`, else PATH; undefined when there is none. */
export function findChromium(): string | undefined {
  const named = process.env['MAYFLY_CHROMIUM'];
  return (named === undefined ? ['chromium', 'chromium-browser', 'google-chrome'].flatMap(onPath) : [named]).find(isExecutable);
}

/** The `aws` command for tests, with Python and boto3 beside it: `MAYFLY_TEST_AWS_CLI`; undefined when there is none. */
export function findAwsCli(): string | undefined {
  return [process.env['MAYFLY_TEST_AWS_CLI'] ?? ''].find(isExecutable);
}

/** The Python that has OCSF's schema, for tests: `MAYFLY_TEST_OCSF_PYTHON`, else where `npm test` installs it; undefined when there is none. */
export function findOcsfPython(): string | undefined {
  return [process.env['MAYFLY_TEST_OCSF_PYTHON'] ?? join(repository, '.mayfly/tools/ocsf/bin/python')].find(isExecutable);
}

/** Open Policy Agent: `MAYFLY_TEST_OPA`, else where `npm run test:peers` builds it; undefined where it could not be had. */
export function findOpa(): string | undefined {
  return [process.env['MAYFLY_TEST_OPA'] ?? join(repository, '.mayfly/tools/opa/bin/opa')].find(isExecutable);
}

/** Go, for `npm run test:peers`: `MAYFLY_GO`, else PATH, else where its own installer puts it; undefined when there is none. */
export function findGo(): string | undefined {
  const named = process.env['MAYFLY_GO'];
  return (named === undefined ? [...onPath('go'), '/usr/local/go/bin/go'] : [named]).find(isExecutable);
}

/** SPIRE: `MAYFLY_TEST_SPIRE` names the folder of both programs, else where `npm run test:peers` builds them; undefined where they could not be had. */
export function findSpire(): { readonly server: string; readonly agent: string } | undefined {
  const folder = process.env['MAYFLY_TEST_SPIRE'] ?? join(repository, '.mayfly/tools/spire/bin');
  const [server, agent] = ['spire-server', 'spire-agent'].map((name) => join(folder, name)).filter(isExecutable);
  return server === undefined || agent === undefined ? undefined : { server, agent };
}

/** The model checker Spin and the C compiler that it needs; undefined where one of them cannot be had. */
export function findSpin(): { readonly spin: string; readonly gcc: string } | undefined {
  const [spin, gcc] = ['spin', 'gcc'].map((name) => onPath(name).find(isExecutable));
  return spin === undefined || gcc === undefined ? undefined : { spin, gcc };
}

/** Prometheus and its tool for rules; undefined where they cannot be had. */
export function findPrometheus(): { readonly prometheus: string; readonly promtool: string } | undefined {
  const [prometheus, promtool] = ['prometheus', 'promtool'].map((name) => onPath(name).find(isExecutable));
  return prometheus === undefined || promtool === undefined ? undefined : { prometheus, promtool };
}

const onPath = (name: string): string[] =>
  (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '').map((folder) => join(folder, name));

function firstExecutable(candidates: readonly string[], complaint: string): string {
  const found = candidates.find(isExecutable);
  if (found === undefined) throw new Error(complaint);
  return found;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
