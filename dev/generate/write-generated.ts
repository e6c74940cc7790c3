import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { GENERATED_FILES } from './generated-files.ts';

const ROOT = join(import.meta.dirname, '../..');

// `npm run generate`: writes each generated file anew.
for (const { path, content } of GENERATED_FILES) {
  writeFileSync(join(ROOT, path), content());
  process.stdout.write(`wrote ${path}\n`);
}
