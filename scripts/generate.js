// `npm run generate`: writes the files that are made from the sources (dev/generate/generated-files.ts).
import { ensureNodeModules, runOwnNode } from './bootstrap.js';

try {
  await ensureNodeModules();
  process.exitCode = await runOwnNode(['dev/generate/write-generated.ts']);
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
