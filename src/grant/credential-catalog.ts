import type { Config, CredentialConfig, ParamSchema } from '../config/config-schema.ts';
import type { FieldFault } from '../core/problem.ts';
import type { CredentialProvider, Capabilities } from '../providers/credential-provider.ts';
import { jsonPointer } from '../task/declaration.ts';

/** A configured credential, with the provider that mints it. */
export interface CatalogEntry {
  readonly name: string;
  readonly config: CredentialConfig;
  readonly provider: CredentialProvider;
  readonly capabilities: Capabilities;
}

export type CredentialCatalog = ReadonlyMap<string, CatalogEntry>;

/** Joins configured credentials and running providers. Throws `RangeError` where a provider is missing: a configuration fault. */
export function createCredentialCatalog(
  credentials: Config['credentials'],
  providers: ReadonlyMap<string, CredentialProvider>,
): CredentialCatalog {
  return new Map(
    Object.entries(credentials).map(([name, config]) => {
      const provider = providers.get(config.provider);
      if (provider === undefined) throw new RangeError(`credential ${name}: provider ${config.provider} is not running`);
      return [name, { name, config, provider, capabilities: provider.capabilities(name) }];
    }),
  );
}

/** Faults of the given parameters against the credential's own schema. `at` is the pointer of the `params` object. */
export function paramFaults(
  params: Readonly<Record<string, unknown>>,
  schemas: CredentialConfig['params'],
  at: readonly PropertyKey[],
): FieldFault[] {
  const unknown = Object.keys(params)
    .filter((key) => !Object.hasOwn(schemas, key))
    .map((key) => ({ pointer: jsonPointer([...at, key]), detail: 'is not a parameter of this credential' }));
  const wrong = Object.entries(schemas).flatMap(([key, schema]) => {
    const value = Object.hasOwn(params, key) ? params[key] : undefined;
    const detail = value === undefined ? (schema.required ? 'is required' : null) : paramFault(value, schema);
    return detail === null ? [] : [{ pointer: jsonPointer([...at, key]), detail }];
  });
  return [...unknown, ...wrong];
}

function paramFault(value: unknown, schema: ParamSchema): string | null {
  switch (schema.type) {
    case 'boolean':
      return typeof value === 'boolean' ? null : 'must be true or false';
    case 'integer': {
      if (typeof value !== 'number' || !Number.isSafeInteger(value)) return 'must be a whole number';
      if (schema.min !== undefined && value < schema.min) return `must be at least ${schema.min}`;
      return schema.max !== undefined && value > schema.max ? `must be at most ${schema.max}` : null;
    }
    case 'string': {
      if (typeof value !== 'string' || value === '') return 'must be a non-empty string';
      if (value.length > schema.max_length) return `must be at most ${schema.max_length} characters long`;
      if (schema.enum !== undefined && !schema.enum.includes(value)) return `must be one of ${schema.enum.join(', ')}`;
      // The whole value must match: a bare `^a|b$` would escape its anchors.
      const fits = schema.pattern === undefined || new RegExp(`^(?:${schema.pattern})$`, 'u').test(value);
      return fits ? null : `must match ${schema.pattern ?? ''}`;
    }
    default:
      return schema satisfies never;
  }
}
