// `npm start`: a whole development stack, or, with MAYFLY_CONFIG set, the broker alone on that configuration.
import { bootstrap, isStale, runOwnNode } from './bootstrap.js';

try {
  if (process.env.MAYFLY_CONFIG !== undefined) {
    if (isStale()) await bootstrap();
    process.exitCode = await runOwnNode(['src/cli/mayfly-cli.ts', 'serve', '--role', 'all']);
  } else {
    const missing = await bootstrap();
    process.exitCode = await runOwnNode(['dev/supervisor.ts'], { MAYFLY_DEV_MISSING: missing.join('\n') });
  }
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
