// After `tsc`: puts what is not TypeScript (the Lua scripts) beside the compiled files that read it. The dashboard has a build of its own.
import { cpSync } from 'node:fs';
import { join } from 'node:path';

cpSync('src', 'dist', { recursive: true, filter: (path) => path !== join('src', 'dashboard') && (!/\.[a-z]+$/.test(path) || !path.endsWith('.ts')) });
