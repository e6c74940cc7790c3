import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, it } from '@jest/globals';

const SRC = resolve(import.meta.dirname, '../src');

/** From the top down. A folder imports from its own tier or from below, never from above. */
const TIERS: readonly (readonly string[])[] = [
  // Its own program, in a browser: it takes the types of answers, and nothing imports it.
  ['dashboard'],
  ['main.ts', 'broker'],
  ['http', 'cli'],
  ['doctor'],
  ['grant'],
  ['agents'],
  ['policy', 'revocation', 'webhooks'],
  ['ledger', 'providers'],
  ['task'],
  ['identity', 'audit', 'keys', 'config', 'telemetry'],
  ['core'],
];
const tierOf = (place: string): number => TIERS.findIndex((tier) => tier.includes(place));

function filesBelow(folder: string): string[] {
  return readdirSync(folder).flatMap((entry) => {
    const path = join(folder, entry);
    return statSync(path).isDirectory() ? filesBelow(path) : [path];
  });
}

const files = filesBelow(SRC).filter((path) => /\.tsx?$/.test(path) && !path.endsWith('.d.ts'));
const placeOf = (path: string): string => relative(SRC, path).split('/')[0] ?? '';

interface Import {
  readonly from: string;
  readonly to: string;
  readonly typeOnly: boolean;
}

const imports: readonly Import[] = files.flatMap((path) => {
  const text = readFileSync(path, 'utf8');
  const found = text.matchAll(/(?:^|\n)\s*(?:import|export)\s+(type\s)?[^;]*?from\s+'(\.[^']+)'|import\('(\.[^']+)'\)/g);
  return [...found].map((match) => ({ from: path, to: resolve(dirname(path), match[2] ?? match[3] ?? ''), typeOnly: match[1] !== undefined }));
});

describe('the architecture', () => {
  it('knows every folder of src', () => {
    const places = new Set(files.map(placeOf));
    expect([...places].filter((place) => tierOf(place) === -1)).toEqual([]);
  });

  it('lets imports point down only', () => {
    const upwards = imports
      .filter(({ from, to }) => tierOf(placeOf(to)) < tierOf(placeOf(from)))
      // The command line starts the broker: the one place where a program part is named from below, and lazily.
      .filter(({ from, to }) => !(placeOf(from) === 'cli' && placeOf(to) === 'main.ts'))
      .map(({ from, to }) => `${relative(SRC, from)} -> ${relative(SRC, to)}`);
    expect(upwards).toEqual([]);
  });

  it('finds an import that points up (control)', () => {
    expect(tierOf('http')).toBeLessThan(tierOf('ledger'));
    expect(imports.some(({ from, to }) => placeOf(from) === 'http' && placeOf(to) === 'ledger')).toBe(true);
  });

  it('has no import cycles at run time', () => {
    const graph = Map.groupBy(imports.filter(({ typeOnly }) => !typeOnly), ({ from }) => from);
    const done = new Set<string>();
    const cycles: string[] = [];
    const visit = (path: string, trail: readonly string[]): void => {
      if (trail.includes(path)) {
        cycles.push([...trail.slice(trail.indexOf(path)), path].map((file) => relative(SRC, file)).join(' -> '));
        return;
      }
      if (done.has(path)) return;
      for (const { to } of graph.get(path) ?? []) visit(to, [...trail, path]);
      done.add(path);
    };
    for (const file of files) visit(file, []);
    expect(cycles).toEqual([]);
  });

  it('imports only files that exist', () => {
    const known = new Set(filesBelow(SRC));
    expect(imports.filter(({ to }) => !known.has(to)).map(({ from, to }) => `${relative(SRC, from)} -> ${relative(SRC, to)}`)).toEqual([]);
  });

  it('has no barrels and no drawers for odds and ends', () => {
    const vague = /(^|\/)(index|utils?|helpers?|common|misc)(\/|\.tsx?$)/;
    expect(files.map((path) => relative(SRC, path)).filter((path) => vague.test(path))).toEqual([]);
  });

  it('knows nothing of OpenTelemetry but its interface outside of telemetry, and loads the SDK in one place, when it is wanted', () => {
    const naming = (words: RegExp): string[] => files.filter((path) => words.test(readFileSync(path, 'utf8'))).map((path) => relative(SRC, path));
    expect(naming(/from '@opentelemetry\/(?!api')/).filter((path) => !path.startsWith('telemetry/'))).toEqual([]);
    expect(naming(/import\('@opentelemetry\/sdk-trace'\)/)).toEqual(['telemetry/tracing.ts']);
    expect(naming(/(?<!import type [^;]*)from '(?:@opentelemetry\/sdk-trace|bullmq-otel)'/)).toEqual([]);
  });

  it('names files in kebab-case', () => {
    expect(files.map((path) => relative(SRC, path)).filter((path) => !/^([a-z0-9-]+\/)*[a-z0-9-]+\.tsx?$/.test(path))).toEqual([]);
  });

  it('takes nothing but types from the server into the dashboard', () => {
    const bundled = imports.filter(({ from, to, typeOnly }) => placeOf(from) === 'dashboard' && placeOf(to) !== 'dashboard' && !typeOnly);
    expect(bundled.map(({ from, to }) => `${relative(SRC, from)} -> ${relative(SRC, to)}`)).toEqual([]);
  });

  it('keeps the core free of everything else in src', () => {
    expect(imports.filter(({ from, to }) => placeOf(from) === 'core' && placeOf(to) !== 'core')).toEqual([]);
  });
});
