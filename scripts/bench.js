// `npm run bench`: whole grants beside OpenBao's own logins, in turns within one run. `-- --rounds 3 --seconds 1 --json`.
import { bootstrap, runOwnNode } from './bootstrap.js';

try {
  await bootstrap();
  process.exitCode = await runOwnNode(['bench/run-bench.ts', ...process.argv.slice(2)]);
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
