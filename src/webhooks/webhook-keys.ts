/** Keys of one webhook, beside the feed, so that one script touches both. A name is from the configuration, never from a caller. */
const ofWebhook = (name: string, rest: string): string => `mayfly:{feed}:webhook:${name}:${rest}`;

/** String: the id of the newest entry of the feed that was taken over. */
export const cursorKey = (name: string): string => ofWebhook(name, 'cursor');
/** Sorted set of the events that are still to be delivered, by when each is tried next, ms. */
export const waitingKey = (name: string): string => ofWebhook(name, 'waiting');
/** Hash: their sealed content, by id. */
export const eventsKey = (name: string): string => ofWebhook(name, 'events');
/** Hash: how often each was tried, by id. */
export const triesKey = (name: string): string => ofWebhook(name, 'tries');
/** Hash: how it stands: what was delivered last, what failed, whether it is disabled. */
export const standingKey = (name: string): string => ofWebhook(name, 'standing');
/** String with an expiry: which worker delivers. */
export const holdKey = (name: string): string => ofWebhook(name, 'hold');
