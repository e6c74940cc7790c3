import type { ConfigFault, ConfigPath } from './load-config.ts';

/** Variables with a meaning of their own; every other `MAYFLY_*` is a key of the configuration, or a mistake. */
const RESERVED = new Set(['MAYFLY_CONFIG', 'MAYFLY_ADDR', 'MAYFLY_TOKEN', 'MAYFLY_TOKEN_FILE', 'MAYFLY_LOG_LEVEL', 'MAYFLY_BAO_BIN', 'MAYFLY_PG_BIN']);
const RESERVED_PREFIX = /^MAYFLY_(TEST|TASK|DEV)_/;
const ALIASES: Readonly<Record<string, readonly string[]>> = { MAYFLY_REDIS_URL: ['redis', 'url'] };

export interface EnvironmentOverrides {
  readonly faults: readonly ConfigFault[];
  /** The configuration with the variables written over it. */
  apply(raw: unknown): unknown;
  /** The variable that set a key, or a key above it. */
  variableFor(key: ConfigPath): string | undefined;
}

/**
 * `MAYFLY_HTTP__PORT=8200` sets `http.port`: two underscores between levels, lower-cased. Whole numbers, true, false and
 * JSON lists and objects are taken as such; everything else is text.
 */
export function environmentOverrides(env: Readonly<Record<string, string | undefined>>): EnvironmentOverrides {
  const settings = Object.entries(env)
    .filter(([name]) => name.startsWith('MAYFLY_') && !RESERVED.has(name) && !RESERVED_PREFIX.test(name))
    .flatMap(([name, text]) => (text === undefined ? [] : [{ name, text, path: ALIASES[name] ?? pathOf(name) }]));
  const faults = settings
    .filter(({ path }) => path.some((part) => part === '' || part === '__proto__'))
    .map(({ name }) => ({ where: name, line: null, key: '', detail: 'is not a variable of this program; a key has two underscores between its levels, as MAYFLY_HTTP__PORT' }));

  return {
    faults,
    apply(raw) {
      const root: Record<string, unknown> = structuredClone(isRecord(raw) ? raw : {});
      for (const { path, text } of settings) {
        let at = root;
        for (const part of path.slice(0, -1)) {
          const inner = at[part];
          if (isRecord(inner)) at = inner;
          else {
            const created = {};
            at[part] = created;
            at = created;
          }
        }
        at[path.at(-1) ?? ''] = valueOf(text);
      }
      return root;
    },
    variableFor: (key) => settings.find(({ path }) => path.every((part, index) => part === String(key[index])))?.name,
  };
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

const pathOf = (name: string): readonly string[] => name.slice('MAYFLY_'.length).toLowerCase().split('__');

function valueOf(text: string): unknown {
  if (/^-?\d{1,15}$/.test(text)) return Number(text);
  if (text === 'true' || text === 'false') return text === 'true';
  if (/^[[{]/.test(text)) {
    try {
      return JSON.parse(text) as unknown;
    } catch {
      return text;
    }
  }
  return text;
}
