import { createHash } from 'node:crypto';
import type { OpenApiDocument } from './openapi-document.ts';
import { schemaRows, schemaWords, type SchemaJson } from './schema-words.ts';

const STYLE = `
:root{color-scheme:light dark;--line:#8885;--soft:#8882;--link:#0a58ca}
@media(prefers-color-scheme:dark){:root{--link:#8ab4f8}}
body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;padding:1rem 1.5rem 4rem;max-width:62rem}
a{color:var(--link)}code{font:0.9em ui-monospace,monospace}pre{background:var(--soft);padding:.75rem;overflow:auto}
section{border-top:1px solid var(--line);margin-top:2rem}nav ul{columns:2;padding-left:1.2rem}
table{border-collapse:collapse;width:100%;margin:.5rem 0 1rem}
th,td{border-bottom:1px solid var(--line);padding:.3rem .6rem .3rem 0;text-align:left;vertical-align:top}
h3{margin-top:2rem}h3 code{font-size:1.1rem}td{overflow-wrap:anywhere}td:first-child{min-width:9rem}caption{text-align:left;font-weight:600}
@media(max-width:40rem){nav ul{columns:1}table{display:block;overflow-x:auto}}
`;

/** Nothing but the page's own style: no script, no request, no frame. */
export const REFERENCE_CSP = `default-src 'none'; style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;

interface Media {
  readonly schema: SchemaJson;
  readonly examples?: Readonly<Record<string, { readonly value: unknown }>>;
}

interface OperationJson {
  readonly operationId: string;
  readonly tags: readonly string[];
  readonly summary: string;
  readonly description: string;
  readonly parameters?: readonly { readonly name: string; readonly in: string; readonly required: boolean; readonly description?: string; readonly schema: SchemaJson }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, Media>> };
  readonly responses: Readonly<Record<string, { readonly description: string; readonly content?: Readonly<Record<string, Media>> }>>;
}

/** The document as one page for people. It needs no script and fetches nothing. */
export function referencePage(document: OpenApiDocument): string {
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation: operation as OperationJson })),
  );
  const tags = document['tags'] as readonly { readonly name: string; readonly description: string }[];
  const entry = ({ path, method, operation }: (typeof operations)[number]): string =>
    `<li><a href="#${operation.operationId}"><code>${escape(`${method} ${path}`)}</code></a> ${escape(operation.summary)}</li>`;
  const chapters = tags.map(({ name, description }) => {
    const own = operations.filter(({ operation }) => operation.tags.includes(name));
    return `<section><h2 id="${escape(name)}">${escape(name)}</h2><p>${escape(description)}</p>${own.map((one) => printOperation(one.method, one.path, one.operation)).join('')}</section>`;
  });
  const schemas = Object.entries(document.components.schemas).map(([name, schema]) => printSchema(name, schema));
  return [
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">',
    `<title>Mayfly ${escape(document.info.version)}: interface</title><style>${STYLE}</style></head><body>`,
    `<h1>Mayfly ${escape(document.info.version)}</h1><p>${escape(document.info.description)} <a href="/openapi.json">OpenAPI document</a>.</p>`,
    `<nav aria-label="Operations"><ul>${operations.map(entry).join('')}</ul></nav><main>`,
    ...chapters,
    `<section><h2 id="schemas">Schemas</h2>${schemas.join('')}</section></main></body></html>`,
  ].join('\n');
}

function printOperation(method: string, path: string, { operationId, summary, description, parameters = [], requestBody, responses }: OperationJson): string {
  const body = Object.entries(requestBody?.content ?? {}).map(([type, { schema, examples = {} }]) => {
    const shown = Object.values(examples).map(({ value }) => `<pre>${escape(JSON.stringify(value, null, 2))}</pre>`);
    return table(`Body, <code>${escape(type)}</code>`, ['field', 'type', 'meaning'], schemaRows(schema).map(fieldRow)) + shown.join('');
  });
  const answers = Object.entries(responses).map(([status, answer]) => {
    const [type, media] = Object.entries(answer.content ?? {})[0] ?? ['', undefined];
    const what = type === 'application/problem+json' ? '<a href="#Problem">Problem</a>' : media?.schema.$ref === undefined ? escape(type) : words(media.schema);
    return [`<code>${status}</code>`, marked(answer.description), what];
  });
  return [
    `<h3 id="${operationId}"><code>${escape(`${method} ${path}`)}</code></h3><p><strong>${escape(summary)}.</strong> ${marked(description)}</p>`,
    parameters.length === 0
      ? ''
      : table(
          'Parameters',
          ['name', 'type', 'meaning'],
          parameters.map((one) => [`<code>${escape(one.name)}</code> in ${escape(one.in)}${one.required ? ', required' : ''}`, words(one.schema), marked(one.description ?? '')]),
        ),
    ...body,
    table('Answers', ['status', 'when', 'body'], answers),
  ].join('\n');
}

function printSchema(name: string, schema: SchemaJson): string {
  const rows = schemaRows(schema).map(fieldRow);
  return `<h3 id="${escape(name)}">${escape(name)}</h3><p>${marked(schema.description ?? '')}</p>${rows.length === 0 ? `<p>${words(schema)}</p>` : table('', ['field', 'type', 'meaning'], rows)}`;
}

const fieldRow = ({ name, required, schema }: ReturnType<typeof schemaRows>[number]): string[] => [
  `<code>${escape(name)}</code>${required ? '' : ', optional'}`,
  words(schema),
  marked(schema.description ?? ''),
];

/** A type in words, with links to the schemas it names. */
const words = (schema: SchemaJson): string => escape(schemaWords(schema)).replaceAll(/@(\w+)/g, '<a href="#$1">$1</a>');

function table(caption: string, head: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return '';
  const cells = (tag: string, row: readonly string[]): string => `<tr>${row.map((cell) => `<${tag}>${cell}</${tag}>`).join('')}</tr>`;
  return `<table>${caption === '' ? '' : `<caption>${caption}</caption>`}<thead>${cells('th', head)}</thead><tbody>${rows.map((row) => cells('td', row)).join('')}</tbody></table>`;
}

/** Text with `code` in backticks. */
const marked = (text: string): string => escape(text).replaceAll(/`([^`]+)`/g, '<code>$1</code>');

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
const escape = (text: string): string => text.replaceAll(/[&<>"']/g, (character) => ENTITIES[character] ?? '');
