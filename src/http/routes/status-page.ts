import { readFileSync } from 'node:fs';
import { Router } from 'express';

const FILES = {
  '/': ['index.html', 'text/html; charset=utf-8'],
  '/status-page/page.css': ['page.css', 'text/css; charset=utf-8'],
  '/status-page/page.js': ['page.js', 'text/javascript; charset=utf-8'],
  '/status-page/approval-dialog.js': ['approval-dialog.js', 'text/javascript; charset=utf-8'],
  '/status-page/approval-list.js': ['approval-list.js', 'text/javascript; charset=utf-8'],
  '/status-page/broker.js': ['broker.js', 'text/javascript; charset=utf-8'],
  '/status-page/event-source.js': ['event-source.js', 'text/javascript; charset=utf-8'],
  '/status-page/lease-table.js': ['lease-table.js', 'text/javascript; charset=utf-8'],
  '/status-page/recent-events.js': ['recent-events.js', 'text/javascript; charset=utf-8'],
  '/status-page/registered-agents.js': ['registered-agents.js', 'text/javascript; charset=utf-8'],
  '/status-page/revoke-dialog.js': ['revoke-dialog.js', 'text/javascript; charset=utf-8'],
  '/status-page/tab-storage.js': ['tab-storage.js', 'text/javascript; charset=utf-8'],
  '/status-page/words.js': ['words.js', 'text/javascript; charset=utf-8'],
  '/status-page/icon.svg': ['icon.svg', 'image/svg+xml'],
} as const;

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
};

/** `/`: a page that shows what waits for approval, and live leases. It holds no data: it asks the interface, with the token its reader gives it. */
export function statusPageRoutes(): Router {
  const router = Router();
  for (const [path, [file, type]] of Object.entries(FILES)) {
    const content = readFileSync(new URL(`../status-page/${file}`, import.meta.url));
    router.get(path, (_request, response) => {
      response.set(HEADERS).type(type).send(content);
    });
  }
  return router;
}
