// `npm run screenshots`: looks at every page of the dashboard, light and dark, on a stack of its own, and keeps the pictures in docs/images.
import { bootstrap, runOwnNode } from './bootstrap.js';

try {
  await bootstrap({ forTests: true });
  process.exitCode = await runOwnNode(['test/support/screenshots.ts', ...process.argv.slice(2)]);
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
