import { parentPort, workerData } from 'node:worker_threads';

/** Reads a list page after page, as a dashboard does when it starts, and tells how many leases it saw. */
const url = String(workerData);
const seen = new Set<string>();
let [pages, longestPageMs, cursor] = [0, 0, ''];
do {
  const startedMs = performance.now();
  const answer = await fetch(`${url}${cursor === '' ? '' : `&cursor=${cursor}`}`, { headers: { Authorization: 'Bearer bench' } });
  const page = (await answer.json()) as { readonly items: readonly { readonly id: string }[]; readonly next_cursor: string | null };
  longestPageMs = Math.max(longestPageMs, performance.now() - startedMs);
  for (const { id } of page.items) seen.add(id);
  cursor = page.next_cursor ?? '';
  pages += 1;
} while (cursor !== '');
parentPort?.postMessage({ leases: seen.size, pages, longestPageMs });
