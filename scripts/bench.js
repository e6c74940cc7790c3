// `npm run bench`: whole grants beside OpenBao's own logins, in turns within one run. `-- --rounds 3 --seconds 1 --json`.
// `npm run bench rotation`: tasks at a steady rate while keys, bundles and policies are changed under them. `-- --seconds 90 --rate 50`.
// `npm run bench soak`: ten minutes of load on one broker, its memory watched. `-- --minutes 2`.
// `npm run bench lease-pages`: 50,000 live leases read over HTTP in pages of 5,000, and how long nothing else could run meanwhile.
// `npm run bench storm`: granting while hundreds of leases fall due in one second, beside granting while none does. `-- --leases 400`.
// `npm run bench dashboard`: first paint, frames a second among 50,000 leases, and what twenty viewers cost. `-- --seconds 5 --rounds 3`.
import { bootstrap, runOwnNode } from './bootstrap.js';

try {
  await bootstrap();
  const [first, ...rest] = process.argv.slice(2);
  process.exitCode = await runOwnNode(['soak', 'rotation', 'lease-pages', 'storm', 'dashboard'].includes(first) ? [`bench/${first}.ts`, ...rest] : ['bench/run-bench.ts', ...process.argv.slice(2)]);
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
