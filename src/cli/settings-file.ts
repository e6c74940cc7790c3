import { readFileSync, realpathSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { CliError, EXIT } from './exit-codes.ts';

/** What a settings file can say; each is a path but the first. */
export const SETTING_KEYS = ['addr', 'token_file', 'cert_file', 'key_file', 'ca_file'] as const;
export type SettingKey = (typeof SETTING_KEYS)[number];

/** A value with where it came from: a flag, a variable, or a file and its line. */
export interface Setting {
  readonly value: string;
  readonly origin: string;
}

export type FileSettings = { readonly [Key in SettingKey]?: Setting };

/** Where the settings of a person are. */
export const userSettingsPath = (env: NodeJS.ProcessEnv): string => join(env['XDG_CONFIG_HOME'] || join(env['HOME'] ?? homedir(), '.config'), 'mayfly/config.yaml');

/** Where the settings of a folder are. */
export const folderSettingsPath = (folder: string): string => join(folder, '.mayfly.yaml');

/**
 * What a settings file says; undefined where there is none. Paths in it are taken from its own folder. `confined`: it may have come with a
 * repository that somebody else made, so what it names must lie in its own folder: else it could have any file of this user sent anywhere.
 * Throws a usage error with the line, the key and what is allowed.
 */
export async function readSettingsFile(path: string, { confined, env }: { readonly confined: boolean; readonly env: NodeJS.ProcessEnv }): Promise<FileSettings | undefined> {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return undefined;
  if (stat.uid !== process.getuid?.() && stat.uid !== 0) throw new CliError(EXIT.usage, `${path} belongs to somebody else; it is not followed`);
  if ((stat.mode & 0o022) !== 0) throw new CliError(EXIT.usage, `${path} can be written by others; it is not followed: chmod go-w ${path}`);
  const { isMap, isScalar, LineCounter, parseDocument } = await import('yaml');
  const lines = new LineCounter();
  const document = parseDocument(readFileSync(path, 'utf8'), { lineCounter: lines });
  const fault = (offset: number, words: string): CliError => new CliError(EXIT.usage, `${path}:${lines.linePos(offset).line}: ${words}`);
  const [broken] = document.errors;
  if (broken !== undefined) throw fault(broken.pos[0], broken.message.split('\n')[0] ?? '');
  if (document.contents === null) return {};
  if (!isMap(document.contents)) throw fault(0, `must be a mapping of ${SETTING_KEYS.join(', ')}`);
  const found = document.contents.items.map(({ key, value }): [SettingKey, Setting] => {
    const offset = isScalar(key) ? key.range[0] : 0;
    const name = SETTING_KEYS.find((one) => isScalar(key) && key.value === one);
    if (name === undefined) throw fault(offset, `${isScalar(key) ? String(key.value) : 'this'} is no setting; there are ${SETTING_KEYS.join(', ')}`);
    if (!isScalar(value) || typeof value.value !== 'string' || value.value === '') throw fault(offset, `${name} must be text`);
    const origin = `${path}:${lines.linePos(offset).line}`;
    if (name === 'addr') return [name, { value: value.value, origin }];
    const named = resolve(dirname(path), value.value.replace(/^~(?=\/)/, env['HOME'] ?? homedir()));
    if (confined && !liesIn(named, dirname(path))) throw fault(offset, `${name} must name a file in the folder of ${path}: such a file may come with a repository, and is not let near others`);
    return [name, { value: named, origin }];
  });
  return Object.fromEntries(found);
}

/** Also where a link leads out of it. */
function liesIn(path: string, folder: string): boolean {
  const real = (one: string): string => {
    try {
      return realpathSync(one);
    } catch {
      return one;
    }
  };
  return !relative(real(folder), real(path)).startsWith('..');
}
