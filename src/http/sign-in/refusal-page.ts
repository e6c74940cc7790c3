import { createHash } from 'node:crypto';
import type { ErrorRequestHandler } from 'express';
import { toProblem, type ErrorLog, reportFailure } from '../problem-response.ts';
import type { TamperedRecord } from '../../ledger/record-seal.ts';
import { requestIdOf } from '../request-id.ts';

const STYLE = ':root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;margin:15vh auto;padding:0 1.5rem;max-width:38rem}a{color:LinkText}small{opacity:.7}';
const HEADERS = {
  'Content-Security-Policy': `default-src 'none'; style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Opener-Policy': 'same-origin',
};

/** Tells a person in a browser in plain words why a sign-in failed; whoever asks for JSON gets the problem. No script, no frame. */
export function refusalPage(log: ErrorLog, onTampered: (error: TamperedRecord) => void): ErrorRequestHandler {
  return (error: unknown, request, response, next) => {
    if (response.headersSent || request.method !== 'GET' || request.accepts(['application/problem+json', 'html']) !== 'html') {
      next(error);
      return;
    }
    const problem = toProblem(error);
    reportFailure(error, problem, response, log, onTampered);
    if (problem.retryAfterSeconds !== undefined) response.set('Retry-After', String(problem.retryAfterSeconds));
    response
      .status(problem.status)
      .set(HEADERS)
      .type('html')
      .send(
        [
          '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">',
          `<title>Mayfly: you are not signed in</title><style>${STYLE}</style></head><body><main><h1>You are not signed in</h1>`,
          `<p>${escape(problem.message)}.</p>`,
          '<p><a href="sign-in">Try again</a>, <a href="sign-in?fresh=true">sign in as somebody else</a>, or go <a href="../">back to Mayfly</a>.</p>',
          `<p><small>${escape(problem.code)}, request ${escape(requestIdOf(response))}</small></p></main></body></html>`,
        ].join('\n'),
      );
  };
}

const escape = (text: string): string => text.replaceAll(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
