import { Problem } from '../core/problem.ts';
import type { Operator } from './caller.ts';
import type { Presented, PresentedSession } from './presented.ts';
import type { Sessions } from './sessions.ts';

/** What the page sends in `X-Mayfly-Request`: for what its person does, and for what it asks by itself, which keeps no session alive. */
export const BY_PERSON = 'dashboard';
export const BY_PAGE = 'background';

const SAFE_METHODS: readonly string[] = ['GET', 'HEAD', 'OPTIONS'];

/**
 * Makes an operator of whoever sends the cookie of a session. A browser sends it with whatever any page makes it ask, so
 * each request has to come from the broker's own page. Throws `session_ended`, and `cross_site_request` before anything is looked up.
 *
 * @param publicOrigin where browsers reach the broker.
 */
export type SessionCallers = ReturnType<typeof sessionCallers>;

export function sessionCallers(sessions: Sessions, publicOrigin: string) {
  return {
    async authenticate(session: PresentedSession, method: Presented['method']): Promise<Operator> {
      requireOwnPage(session, method, publicOrigin);
      return sessions.operatorOf(session.cookie, session.purpose !== BY_PAGE);
    },
    /** Whether it is still good; nothing that its person did. */
    recheck: (session: PresentedSession): Promise<Operator> => sessions.operatorOf(session.cookie, false),
  };
}

/**
 * Throws `cross_site_request` unless the broker's own page sent a request. What changes something shows it twice: by
 * `Sec-Fetch-Site` (or `Origin`, of browsers that do not send it), and by a header that another site's page cannot send without being let (CORS).
 */
export function requireOwnPage({ site, origin, purpose }: PresentedSession, method: string, publicOrigin: string): void {
  if (SAFE_METHODS.includes(method)) {
    // `none`: the person typed it. A page of another site, a neighbour's too, has nothing to ask with this cookie, though it cannot read the answer.
    if (site !== null && site !== 'same-origin' && site !== 'none') throw new Problem('cross_site_request', 'with the cookie of a session, only the page of this broker may ask');
    return;
  }
  const own = site === null ? origin === publicOrigin : site === 'same-origin';
  if (!own) throw new Problem('cross_site_request', 'with the cookie of a session, only the page of this broker may ask for changes (Sec-Fetch-Site, Origin)');
  if (purpose !== BY_PERSON) throw new Problem('cross_site_request', `with the cookie of a session, a change needs the header X-Mayfly-Request: ${BY_PERSON}`);
}
