// Builds the dashboard into dist/dashboard: `npm run build`, or whatever of `npm start` and `npm test` finds it missing or stale.
import { defineConfig } from 'vite';

export default defineConfig({
  root: import.meta.dirname,
  base: '/',
  clearScreen: false,
  logLevel: 'warn',
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact', development: false } },
  build: {
    outDir: '../../dist/dashboard',
    emptyOutDir: true,
    // The browsers of the last two years: what the page uses (dialog, AbortSignal.any, :has) is no older.
    target: 'es2023',
    // Nothing is inlined: the page's policy allows its own files alone.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
});
