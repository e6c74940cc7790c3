// After `tsc`: puts what is not TypeScript (the Lua scripts, the status page) beside the compiled files that read it.
import { cpSync } from 'node:fs';

cpSync('src', 'dist', { recursive: true, filter: (path) => !/\.[a-z]+$/.test(path) || !path.endsWith('.ts') });
