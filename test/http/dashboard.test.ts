import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import express from 'express';
import { dashboardRoutes } from '../../src/http/routes/dashboard.ts';
import { buildDashboard } from '../support/build-dashboard.ts';

const BUILT = join(import.meta.dirname, '../../dist/dashboard');
/** What a reader on a slow line waits for, before the page can be used. */
const MAX_GZIP_BYTES = 60_000;

async function serve(folder?: string): Promise<{ readonly url: string; readonly server: Server }> {
  const server = createServer(express().use(dashboardRoutes(folder)));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server };
}

async function stop(server: Server): Promise<void> {
  server.close();
  server.closeAllConnections();
  await once(server, 'close');
}

describe('the dashboard, as it is served', () => {
  let server: Server;
  let url: string;

  beforeAll(async () => {
    await buildDashboard();
    ({ server, url } = await serve());
  }, 60_000);

  afterAll(() => stop(server));

  it('runs and loads nothing but its own files, and is framed by nobody', async () => {
    const policy = (await fetch(url)).headers.get('content-security-policy') ?? '';
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("script-src 'self';");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).toContain("form-action 'none'");
    expect(policy).toContain("require-trusted-types-for 'script'; trusted-types 'none'");
    expect(policy).not.toMatch(/unsafe|nonce|\*|https?:/);
  });

  it('has no inline script or style, which that policy would refuse, and no other origin', async () => {
    const page = await (await fetch(url)).text();
    expect(page).not.toMatch(/<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)|https?:/);
  });

  it('is asked for anew each time, and names files that may be kept for good', async () => {
    const page = await fetch(url);
    expect(page.headers.get('cache-control') ?? 'none').not.toMatch(/max-age|immutable/);
    const named = [...(await page.text()).matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)].map(([, path = '']) => path);
    expect(named.length).toBeGreaterThanOrEqual(3);
    for (const path of named) {
      const file = await fetch(`${url}${path}`);
      expect([file.status, file.headers.get('cache-control')]).toEqual([200, 'public, max-age=31536000, immutable']);
      expect(path).toMatch(/-[\w-]{8}\.(js|css|svg)$/);
      expect(Buffer.from(await file.arrayBuffer())).toEqual(readFileSync(join(BUILT, path)));
    }
  });

  it('serves nothing else of its folder', async () => {
    for (const path of ['/assets/nothing.js', '/assets/../index.html', '/assets/%2e%2e/index.html', '/assets/..%2findex.html', '/.made-from', '/assets/']) {
      expect((await fetch(`${url}${path}`)).status).toBe(404);
    }
  });

  it('is less than 60 kB on the wire, all of it', () => {
    const files = [join(BUILT, 'index.html'), ...readdirSync(join(BUILT, 'assets')).map((name) => join(BUILT, 'assets', name))];
    const bytes = files.reduce((sum, file) => sum + gzipSync(readFileSync(file)).length, 0);
    expect(bytes).toBeLessThan(MAX_GZIP_BYTES);
    // There is something to measure.
    expect(bytes).toBeGreaterThan(20_000);
  });

  it('has no code that makes markup of text but the one of Preact that nothing calls', () => {
    const script = readdirSync(join(BUILT, 'assets')).filter((name) => name.endsWith('.js')).map((name) => readFileSync(join(BUILT, 'assets', name), 'utf8')).join('');
    expect(script).not.toMatch(/outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function/);
    // Preact's own, behind a property that the sources may not use (eslint.config.js).
    expect(script.match(/\.innerHTML/g)).toHaveLength(2);
  });
});

it('says in plain words how to build the dashboard where it is not', async () => {
  const empty = await mkdtemp(join(tmpdir(), 'mayfly-no-dashboard-'));
  const { server, url } = await serve(empty);
  try {
    const answer = await fetch(url);
    expect(answer.status).toBe(503);
    expect(await answer.text()).toContain('npm run build');
    expect(answer.headers.get('content-security-policy')).toContain("default-src 'none'");
  } finally {
    await stop(server);
    await rm(empty, { recursive: true });
  }
});
