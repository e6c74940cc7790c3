/** The parts of JSON Schema that the interface's schemas use. */
export interface SchemaJson {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly default?: unknown;
  readonly properties?: Readonly<Record<string, SchemaJson>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | SchemaJson;
  readonly items?: SchemaJson;
  readonly anyOf?: readonly SchemaJson[];
  readonly oneOf?: readonly SchemaJson[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly maxLength?: number;
  readonly maxItems?: number;
  readonly pattern?: string;
  readonly format?: string;
}

export interface SchemaRow {
  /** `credentials[].name`. */
  readonly name: string;
  readonly required: boolean;
  readonly schema: SchemaJson;
}

/** The fields of an object and of the objects in it that have no name of their own. */
export function schemaRows(schema: SchemaJson, prefix = ''): SchemaRow[] {
  return Object.entries(schema.properties ?? {}).flatMap(([key, inner]) => {
    const name = `${prefix}${key}`;
    const row = { name, required: schema.required?.includes(key) ?? false, schema: inner };
    if (inner.items?.properties !== undefined) return [row, ...schemaRows(inner.items, `${name}[].`)];
    return [row, ...schemaRows(inner, `${name}.`)];
  });
}

/** A type in words. The name of a schema is written as `@Name`. */
export function schemaWords(schema: SchemaJson): string {
  const { $ref, anyOf, oneOf, items, enum: options, additionalProperties } = schema;
  if ($ref !== undefined) return `@${$ref.split('/').at(-1) ?? ''}`;
  const forms = anyOf ?? oneOf;
  if (forms !== undefined) return forms.map(schemaWords).join(' or ');
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (options !== undefined) return withBounds(options.map(String).join(' | '), schema);
  if (items !== undefined) return withBounds(`list of ${schemaWords(items)}`, schema);
  if (typeof additionalProperties === 'object') return `mapping of ${schemaWords(additionalProperties)}`;
  if (schema.type === undefined) return 'anything';
  return withBounds(schema.format ?? String(schema.type), schema);
}

function withBounds(text: string, { minimum, maximum, maxLength, maxItems, pattern, format, default: fallback }: SchemaJson): string {
  const bounds = [
    minimum !== undefined && minimum > Number.MIN_SAFE_INTEGER ? `from ${minimum}` : '',
    maximum !== undefined && maximum < Number.MAX_SAFE_INTEGER ? `to ${maximum}` : '',
    maxLength === undefined ? '' : `at most ${maxLength} characters`,
    maxItems === undefined ? '' : `at most ${maxItems}`,
    // A format's pattern says nothing more, at length.
    pattern === undefined || format !== undefined ? '' : `matching ${pattern}`,
    fallback === undefined ? '' : `default ${JSON.stringify(fallback)}`,
  ].filter((part) => part !== '');
  return [text, ...bounds].join(', ');
}
