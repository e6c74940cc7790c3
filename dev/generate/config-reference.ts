import { configJsonSchema, type JsonSchema } from './config-schema-json.ts';

/** One key of the configuration, as the reference shows it. */
export interface ConfigRow {
  readonly key: string;
  /** The variable that sets it; null inside lists, which are set as a whole. */
  readonly variable: string | null;
  readonly schema: JsonSchema;
  readonly required: boolean;
}

interface Table {
  readonly title: string;
  readonly rows: readonly ConfigRow[];
}

interface Place {
  readonly path: readonly string[];
  readonly schema: JsonSchema;
  readonly required: boolean;
}

const NAME = '<name>';
const ITEM = '[]';

/** `docs/configuration.md`, from the schema that loads the configuration. */
export function configReference(): string {
  const sections = Object.entries(configJsonSchema().properties ?? {});
  const single = sections.filter(([, schema]) => !isNested(schema)).map(([key]) => key);
  const required = new Set(configJsonSchema().required);
  const place = ([key, schema]: [string, JsonSchema]): Place => ({ path: [key], schema, required: required.has(key) });
  const general = sections.filter(([key]) => single.includes(key)).map((section) => rowOf(place(section)));
  const parts = sections
    .filter(([key]) => !single.includes(key))
    .map((section) => [`## \`${section[0]}\``, sentence(section[1].description), ...printTables(tablesOf(place(section)))].filter((text) => text !== '').join('\n\n'));
  return [HEAD, '## General', printTable({ title: '', rows: general }), ...parts].join('\n\n').concat('\n');
}

/** Every key there is, in the order of the reference. */
export function configRows(): ConfigRow[] {
  const { properties = {}, required = [] } = configJsonSchema();
  return Object.entries(properties).flatMap(([key, schema]) => {
    const place = { path: [key], schema, required: required.includes(key) };
    return isNested(schema) ? tablesOf(place).flatMap(({ rows }) => rows) : [rowOf(place)];
  });
}

const HEAD = `<!-- Written by \`npm run generate\` from src/config/config-schema.ts. Do not edit. -->

# Configuration

One YAML file, named by \`--config\` or \`MAYFLY_CONFIG\`. [config/mayfly.yaml](../config/mayfly.yaml) is an example to start from, and
[config/mayfly.schema.json](../config/mayfly.schema.json) is the same as this page for editors: with the line
\`# yaml-language-server: $schema=mayfly.schema.json\` at the top of a file beside it they complete and check keys.
\`mayfly config check --config <file>\` names each fault with its line. Unknown keys and unknown variables are refused.

**Variables.** Each key can be set by the variable beside it, which wins over the file: \`MAYFLY_HTTP__PORT=8200\` is \`http.port\`.
\`<NAME>\` is a configured name in capitals with \`_\` for \`-\`: \`MAYFLY_PROVIDERS__VAULT_MAIN__ADDRESS\`. Lists and mappings are JSON;
what is inside a list is set with the whole list. \`MAYFLY_REDIS_URL\` is \`redis.url\`.

**Secrets** are never values in the file: keys that end in \`_file\` or \`_files\` name the files that hold them. In production such a
file must not be readable by others. Relative paths start at the configuration's folder.

\`[]\` stands for each item of a list, \`<name>\` for a name of your choice. **required** in the column of defaults: there is none.`;

/** The keys below a place: one table, and one more for each form that something in it can take. */
function tablesOf(top: Place): Table[] {
  const forms = new Map<string, { readonly places: Place[]; readonly options: readonly JsonSchema[] }>();
  const rows: ConfigRow[] = [];
  const walk = (place: Place, isTop: boolean): void => {
    const { schema, path } = place;
    if (!isTop) rows.push(rowOf(place));
    if (schema.oneOf !== undefined) {
      // The three logins of a provider take the same forms: they are shown once.
      const signature = JSON.stringify(schema.oneOf);
      const known = forms.get(signature);
      if (known === undefined) forms.set(signature, { places: [place], options: schema.oneOf });
      else known.places.push(place);
      return;
    }
    for (const [key, child] of Object.entries(schema.properties ?? {})) {
      walk({ path: [...path, key], schema: child, required: schema.required?.includes(key) ?? false }, false);
    }
    const items = schema.items ?? (typeof schema.additionalProperties === 'object' ? schema.additionalProperties : undefined);
    if (items !== undefined && isNested(items)) walk({ path: [...path, schema.items === undefined ? NAME : ITEM], schema: items, required: false }, true);
  };
  walk(top, true);
  const own: Table[] = rows.length === 0 ? [] : [{ title: '', rows }];
  return own.concat([...forms.values()].flatMap(({ places, options }) => options.flatMap((option) => formTables(places, option))));
}

function formTables(places: readonly Place[], option: JsonSchema): Table[] {
  const [first] = places;
  if (first === undefined) return [];
  const [discriminator = '', { const: value } = {}] = Object.entries(option.properties ?? {}).find(([, { const: fixed }]) => fixed !== undefined) ?? [];
  const where = places.map(({ path }) => `\`${keyOf(path)}\``).join(', ');
  const title = `${where} with \`${discriminator}: ${String(value)}\``;
  const [table, ...deeper] = tablesOf({ ...first, schema: option });
  return table === undefined ? deeper : [{ title, rows: table.rows }, ...deeper.map((below) => ({ ...below, title: below.title || title }))];
}

const isNested = (schema: JsonSchema): boolean =>
  schema.oneOf !== undefined ||
  schema.properties !== undefined ||
  typeof schema.additionalProperties === 'object' ||
  (schema.items !== undefined && isNested(schema.items));

const rowOf = ({ path, schema, required }: Place): ConfigRow => ({ key: keyOf(path), variable: variableOf(path), schema, required });

/** `identity.issuers[].audience`. */
const keyOf = (path: readonly string[]): string => path.reduce((key, part) => (part === ITEM ? `${key}${part}` : `${key}.${part}`));

/** As src/config/environment.ts reads it. */
function variableOf(path: readonly string[]): string | null {
  if (path.includes(ITEM)) return null;
  return `MAYFLY_${path.map((part) => part.toUpperCase().replaceAll('-', '_')).join('__')}`;
}

/** Printed once each: credentials of every kind take the same params. */
const printTables = (tables: readonly Table[]): string[] => [...new Set(tables.map(printTable))];

function printTable({ title, rows }: Table): string {
  const lines = rows.map(({ key, variable, schema, required }) =>
    [`\`${key}\``, typeOf(schema), required ? '**required**' : defaultOf(schema), allowed(schema), schema.description ?? '', variable === null ? '' : `\`${variable}\``]
      .map((cell) => cell.replaceAll('|', '\\|'))
      .join(' | '),
  );
  const head = ['| key | type | default | allowed | meaning | variable |', '|---|---|---|---|---|---|'];
  return [...(title === '' ? [] : [`### ${title}`, '']), ...head, ...lines.map((line) => `| ${line} |`)].join('\n');
}

function typeOf(schema: JsonSchema): string {
  if (schema.oneOf !== undefined) return 'mapping, see below';
  if (schema.const !== undefined || schema.enum !== undefined) return 'word';
  switch (schema.type) {
    case 'array':
      return schema.items?.type === 'object' ? 'list of mappings' : 'list of texts';
    case 'object':
      return typeof schema.additionalProperties === 'object' ? 'mapping by name' : 'mapping';
    case 'integer':
      return 'whole number';
    case 'boolean':
      return 'true or false';
    default:
      return schema.format === 'uri' ? 'URL' : 'text';
  }
}

function defaultOf(schema: JsonSchema): string {
  // An empty mapping as a default means the defaults of what is in it.
  if (schema.default === undefined || (schema.type === 'object' && JSON.stringify(schema.default) === '{}')) return '';
  return `\`${typeof schema.default === 'string' ? schema.default : JSON.stringify(schema.default)}\``;
}

function allowed(schema: JsonSchema): string {
  const { minimum, maximum, minLength, maxLength, pattern, minItems } = schema;
  const words = schema.enum ?? schema.items?.enum ?? (schema.const === undefined ? undefined : [schema.const]);
  const parts: string[] = [];
  if (words !== undefined) parts.push(words.map((word) => `\`${String(word)}\``).join(', '));
  if (minimum !== undefined && minimum > Number.MIN_SAFE_INTEGER) {
    parts.push(maximum !== undefined && maximum < Number.MAX_SAFE_INTEGER ? `${minimum} to ${maximum}` : `${minimum} or more`);
  }
  if (pattern !== undefined) parts.push(pattern === '^https?://' ? 'http or https' : `\`${pattern}\``);
  if (maxLength !== undefined) parts.push(`at most ${maxLength} characters`);
  else if (minLength !== undefined) parts.push('not empty');
  if (minItems !== undefined) parts.push(`at least ${minItems}`);
  return parts.join('; ');
}

const sentence = (text = ''): string => (text === '' ? '' : `${text.charAt(0).toUpperCase()}${text.slice(1)}.`);
