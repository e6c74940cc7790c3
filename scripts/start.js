// `npm start`: a whole development stack, or, with MAYFLY_CONFIG set, the broker alone on that configuration.
import { bootstrap, ensureNodeModules, ownNode, runOwnNode } from './bootstrap.js';
import { ensureDashboard } from './build-dashboard.js';

try {
  if (process.env.MAYFLY_CONFIG === undefined) {
    const missing = await bootstrap();
    process.exitCode = await runOwnNode(['dev/supervisor.ts'], { MAYFLY_DEV_MISSING: missing.join('\n') });
  } else {
    await ensureNodeModules();
    await ensureDashboard(ownNode());
    process.exitCode = await runOwnNode(['bin/mayfly.js', 'serve', '--role', 'all']);
  }
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
