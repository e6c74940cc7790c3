// What the page asks of the broker. The token goes into a header and nowhere else.

/** A page of this many leases is one answer; more pages follow up to the most a person can look at. */
const PAGE = 500;
export const MOST = 2_000;
/** More than these that wait are no list to decide from. */
export const MOST_WAITING = 200;

/** What the broker said when it said no. */
export class Refused extends Error {
  /** @param {number} status @param {{ title?: string, detail?: string }} problem */
  constructor(status, problem) {
    super(problem.detail ?? problem.title ?? `the broker answered ${status}`);
    this.status = status;
  }
}

/** @param {string} token */
export function connectBroker(token) {
  async function ask(method, path, body) {
    const response = await fetch(path, {
      method,
      cache: 'no-store',
      headers: { Authorization: `Bearer ${token}`, ...(body === undefined ? {} : { 'Content-Type': 'application/json' }) },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const answer = await response.json().catch(() => ({}));
    if (!response.ok) throw new Refused(response.status, answer);
    return answer;
  }

  return {
    /** Who we are here, and the broker's clock: `now()` counts on from its answer, whatever this machine's clock says. */
    async whoami() {
      const asked = performance.now();
      const { caller, now } = await ask('GET', '/v1/whoami');
      const offset = Date.parse(now) - (asked + performance.now()) / 2;
      return { caller, now: () => offset + performance.now() };
    },

    /** Live leases by due time, soonest first, at most `MOST`. */
    async liveLeases() {
      const leases = [];
      let cursor = null;
      do {
        const query = new URLSearchParams({ due_before: '9999-12-31T00:00:00Z', limit: String(PAGE), ...(cursor === null ? {} : { cursor }) });
        const { items, next_cursor: next } = await ask('GET', `/v1/leases?${query}`);
        leases.push(...items);
        cursor = next;
      } while (cursor !== null && leases.length < MOST);
      return { leases, isAll: cursor === null };
    },

    /** One lease; null when it is no longer kept. */
    async lease(id) {
      try {
        return (await ask('GET', `/v1/leases/${encodeURIComponent(id)}`)).lease;
      } catch (error) {
        if (error instanceof Refused && error.status === 404) return null;
        throw error;
      }
    },

    /** What waits for a human, oldest first, at most `MOST_WAITING`. */
    async waiting() {
      const { items, next_cursor: next } = await ask('GET', `/v1/approvals?limit=${MOST_WAITING}`);
      return { approvals: items, isAll: next === null };
    },

    /** One human's yes or no, to what the digest is of. */
    decide: (id, answer) => ask('POST', `/v1/tasks/${encodeURIComponent(id)}/approval`, answer),

    /** Registered agents of this name, whichever issuer vouches for it. */
    agentsCalled: async (subject) => (await ask('GET', `/v1/agents?${new URLSearchParams({ subject, limit: String(PAGE) })}`)).items,

    isRegisterUsed: async () => (await ask('GET', '/v1/agents?limit=1')).items.length > 0,

    retry: (id) => ask('POST', `/v1/leases/${encodeURIComponent(id)}/retry`, {}),

    revoke: (selector, reason) => ask('POST', '/v1/revocations', { selector, reason }),
  };
}
