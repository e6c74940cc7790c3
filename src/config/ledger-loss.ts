import type { Config } from './config-schema.ts';

/** AWS sells no shorter session, however little was asked for. */
const SHORTEST_SESSION_SECONDS = 900;
/** Beyond its due time: the largest margin that a target is given, and what a database login is given on top. */
const MARGIN_SECONDS = 120;

/** Where a worker keeps what it knows of the ledger: beside the audit file, where nothing else is said. */
export const epochFileOf = ({ redis, audit }: Pick<Config, 'redis' | 'audit'>): string => redis.epoch_file ?? `${audit.file}.epoch`;

/** How long what is minted now can live at its target by the target's own clock, ms: what a lost ledger has to be afraid of. */
export const longestLifeMs = ({ limits }: Pick<Config, 'limits'>): number => (Math.max(limits.max_ttl_seconds, SHORTEST_SESSION_SECONDS) + MARGIN_SECONDS) * 1_000;
