import { cliReference } from './cli-reference.ts';
import { configReference } from './config-reference.ts';
import { configSchemaFile } from './config-schema-json.ts';

export interface GeneratedFile {
  /** From the repository's root. */
  readonly path: string;
  readonly content: () => string;
}

/** What is written from the sources and kept in git; a test holds them in step. */
export const GENERATED_FILES: readonly GeneratedFile[] = [
  { path: 'config/mayfly.schema.json', content: configSchemaFile },
  { path: 'docs/configuration.md', content: configReference },
  { path: 'docs/cli-reference.md', content: cliReference },
];
