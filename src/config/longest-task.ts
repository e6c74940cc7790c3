import type { Config } from './config-schema.ts';

/** How long a task can wait, for a human and then for its agent, and live in all; ms. */
export const longestTaskMs = ({ limits }: Pick<Config, 'limits'>): number => (limits.approval_window_seconds + limits.claim_window_seconds + limits.max_ttl_seconds) * 1_000;

/** The same where no configuration is at hand: the most that any allows. */
export const LONGEST_TASK_MS = 3 * 86_400_000;
