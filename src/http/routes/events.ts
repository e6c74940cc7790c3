import { Router } from 'express';
import type { FeedReader } from '../../audit/feed-reader.ts';
import type { Clock } from '../../core/clock.ts';
import { Problem } from '../../core/problem.ts';
import type { Authenticator, Operator } from '../../identity/caller.ts';
import { SKEW_SECONDS } from '../../identity/verify-token.ts';
import { authenticateOperator, recheckOperator } from '../authenticate.ts';
import { EventStream } from '../event-stream.ts';

export interface EventRoutesDeps {
  readonly authenticator: Authenticator;
  readonly feed: Pick<FeedReader, 'open' | 'watch' | 'tail'>;
  readonly clock: Clock;
  readonly observeStreams: (open: number) => void;
}

/** Proxies drop a connection that says nothing for 30 to 60 s. */
const PING_MS = 15_000;
/** Streams of this process, and of one operator: a page left open in many tabs must not keep others out. */
const MAX_STREAMS = 200;
const MAX_STREAMS_EACH = 20;

/** `/v1/events`: what happens, as it happens, for operators. */
export function eventRoutes(deps: EventRoutesDeps): Router {
  const router = Router();
  const open = new Map<string, number>();

  router.get('/v1/events', async (request, response) => {
    const operator = await authenticateOperator(request, deps.authenticator, 'viewer');
    const leave = enter(operator, open);
    deps.observeStreams(streamsIn(open));
    response.once('close', () => {
      leave();
      deps.observeStreams(streamsIn(open));
    });
    await deps.feed.open().catch((cause: unknown) => {
      throw new Problem('ledger_unavailable', 'the events cannot be read now', { retryAfterSeconds: 3, cause });
    });
    // Its reader may have gone meanwhile.
    if (response.destroyed) return;
    const stream = new EventStream(response, deps.feed.tail, request.get('last-event-id'));
    if (request.method === 'HEAD') {
      stream.end();
      return;
    }
    const unwatch = deps.feed.watch({ onMore: () => stream.pump(), onEnd: () => stream.end() });
    const expiry = setTimeout(() => stream.end(), Math.max(0, endsAtMs(operator, deps.clock) - deps.clock.now()));
    const beat = setInterval(() => {
      // A token can also end early: its key was withdrawn.
      recheckOperator(request, deps.authenticator, 'viewer').then(
        () => stream.ping(),
        () => stream.end(),
      );
    }, PING_MS);
    response.once('close', () => {
      unwatch();
      clearTimeout(expiry);
      clearInterval(beat);
    });
  });

  return router;
}

const streamsIn = (open: ReadonlyMap<string, number>): number => [...open.values()].reduce((sum, one) => sum + one, 0);

/** Counts a stream in; answers how to count it out. Throws `limit_exceeded`. */
function enter({ issuer, subject }: Operator, open: Map<string, number>): () => void {
  const who = `${issuer}\n${subject}`;
  const own = open.get(who) ?? 0;
  if (own >= MAX_STREAMS_EACH || streamsIn(open) >= MAX_STREAMS) {
    throw new Problem('limit_exceeded', 'too many event streams are open here; close one, or ask another replica', { retryAfterSeconds: 10 });
  }
  open.set(who, own + 1);
  return () => {
    const left = (open.get(who) ?? 1) - 1;
    if (left > 0) open.set(who, left);
    else open.delete(who);
  };
}

/** When the token ends; one that was taken within the allowed skew lasts to the end of that. */
function endsAtMs({ tokenExpiresAtMs }: Operator, clock: Clock): number {
  return tokenExpiresAtMs > clock.now() ? tokenExpiresAtMs : tokenExpiresAtMs + SKEW_SECONDS * 1000;
}
