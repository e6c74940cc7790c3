import { readFileSync } from 'node:fs';
import type { Config } from './config-schema.ts';

/** The URL of the ledger, from the configuration, the environment, or its file. */
export const redisUrlOf = ({ redis }: Pick<Config, 'redis'>): string => redis.url ?? readFileSync(redis.url_file ?? '', 'utf8').trim();
