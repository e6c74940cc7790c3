import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Router } from 'express';
import { Problem } from '../../core/problem.ts';

/** Beside the compiled files, and where `npm start` and `npm test` build it for those that are not compiled. */
const BUILT = fileURLToPath(new URL('../../../dist/dashboard/', import.meta.url));

const TYPES: Readonly<Record<string, string>> = {
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  svg: 'image/svg+xml',
};

/**
 * Nothing but our own files runs or is loaded, nothing is sent elsewhere, nobody frames it, and no text becomes markup
 * (Trusted Types): what an agent is called must not become a script in an operator's browser.
 */
const HEADERS = {
  'Content-Security-Policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; '),
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Permissions-Policy': 'camera=(), geolocation=(), microphone=(), payment=(), usb=()',
};

const NOT_BUILT = `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Mayfly</title>
<h1>The dashboard is not built</h1>
<p>Run <code>npm run build</code> where Mayfly is installed, and start the broker again. Everything else works without it.</p>
</html>
`;

/**
 * `/`: the dashboard. It holds no data: it asks the interface, as whoever is signed in. A name of a file under `/assets/` changes
 * with its content, so that a browser may keep it for good; `/` names them and is never kept.
 */
export function dashboardRoutes(folder = BUILT): Router {
  const router = Router();
  const read = (name: string): Buffer | undefined => (existsSync(`${folder}/${name}`) ? readFileSync(`${folder}/${name}`) : undefined);
  const page = read('index.html');
  const assets = page === undefined ? [] : readdirSync(`${folder}/assets`);
  const contents = new Map(assets.map((name) => [name, read(`assets/${name}`)]));

  router.get('/', (_request, response) => {
    response.set(HEADERS).type('text/html; charset=utf-8');
    if (page === undefined) response.status(503).send(NOT_BUILT);
    else response.send(page);
  });

  router.get('/assets/:file', (request, response) => {
    const { file } = request.params;
    const content = contents.get(file);
    const type = TYPES[file.split('.').at(-1) ?? ''];
    if (content === undefined || type === undefined) throw new Problem('not_found', 'the dashboard has no such file; a newer one names others');
    response.set({ ...HEADERS, 'Cache-Control': 'public, max-age=31536000, immutable' }).type(type).send(content);
  });

  return router;
}
