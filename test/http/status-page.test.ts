import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import express from 'express';
import { duration, readable } from '../../src/http/status-page/words.js';
import { statusPageRoutes } from '../../src/http/routes/status-page.ts';

const FOLDER = join(import.meta.dirname, '../../src/http/status-page');
let server: Server;
let url: string;

beforeAll(async () => {
  server = createServer(express().use(statusPageRoutes()));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterAll(async () => {
  server.close();
  server.closeAllConnections();
  await once(server, 'close');
});

describe('the status page', () => {
  it('runs and loads nothing but its own files, and is framed by nobody', async () => {
    const policy = (await fetch(url)).headers.get('content-security-policy') ?? '';
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("script-src 'self';");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).toContain("form-action 'none'");
    expect(policy).not.toMatch(/unsafe|nonce|\*|https?:/);
  });

  it('has no inline script or style, which that policy would refuse, and no other origin', () => {
    const page = readFileSync(join(FOLDER, 'index.html'), 'utf8');
    expect(page).not.toMatch(/<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)|https?:/);
  });

  it('turns no text into markup', () => {
    for (const file of readdirSync(FOLDER).filter((name) => name.endsWith('.js'))) {
      expect(readFileSync(join(FOLDER, file), 'utf8')).not.toMatch(/innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function/);
    }
  });

  it.each([
    ['a name as it is', 'agent:refunds', 'agent:refunds'],
    ['markup as it is', '<b>&', '<b>&'],
    ['letters of any script', 'Zürich 東京 שלום 🦋', 'Zürich 東京 שלום 🦋'],
    ['what turns the direction of writing', 'pay \u202e001\u202c', 'pay ⟨U+202E⟩001⟨U+202C⟩'],
    ['what has no width', 'or\u200bders', 'or⟨U+200B⟩ders'],
    ['what begins a line', 'a\u2028b\nc', 'a⟨U+2028⟩b⟨U+000A⟩c'],
    ['a tag character beyond the first plane', 'a\u{e0041}', 'a⟨U+E0041⟩'],
  ])('shows %s', (_what, text, shown) => expect(readable(text)).toBe(shown));

  it.each([[65_400, '1:05'], [7_200_000, '2:00:00'], [0, '0:00']])('shows %i ms as %s', (ms, shown) => expect(duration(ms)).toBe(shown));

  it('serves every file that it is made of, and nothing else of that folder', async () => {
    const files = readdirSync(FOLDER).filter((name) => name !== 'index.html');
    const answers = await Promise.all(files.map((file) => fetch(`${url}/status-page/${file}`)));
    expect(answers.map(({ status }) => status)).toEqual(files.map(() => 200));
    const types: Record<string, string | null> = Object.fromEntries(answers.map((answer, index) => [files[index] ?? '', answer.headers.get('content-type')]));
    expect(types).toMatchObject({ 'page.js': 'text/javascript; charset=utf-8', 'page.css': 'text/css; charset=utf-8', 'icon.svg': 'image/svg+xml' });
    expect((await fetch(`${url}/status-page/../routes/leases.ts`)).status).toBe(404);
    expect((await fetch(`${url}/status-page/%2e%2e/event-stream.ts`)).status).toBe(404);
  });
});
