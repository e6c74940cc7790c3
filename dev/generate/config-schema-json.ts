import { z } from 'zod';
import { configSchema } from '../../src/config/config-schema.ts';

/** The parts of JSON Schema that the configuration's schema uses. */
export interface JsonSchema {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | JsonSchema;
  readonly items?: JsonSchema;
  readonly oneOf?: readonly JsonSchema[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly pattern?: string;
  readonly format?: string;
}

/** The configuration as it is written, as JSON Schema 2020-12. */
export const configJsonSchema = (): JsonSchema => ({
  ...(z.toJSONSchema(configSchema, { io: 'input' }) as JsonSchema),
  ...{ title: 'Mayfly configuration' },
});

/** The schema as a file for editors. */
export const configSchemaFile = (): string => `${JSON.stringify(configJsonSchema(), null, 2)}\n`;
