import { CliError, EXIT } from './exit-codes.ts';

/** A flag's whole number of seconds. Throws a usage error that names the flag. */
export function wholeNumber(flag: string, text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new CliError(EXIT.usage, `${flag} takes a whole number of seconds, not ${text}`);
  return Number(text);
}

/** A flag's count, from `least` (0 or 1). Throws a usage error that names the flag. */
export function countFlag(flag: string, text: string, least: 0 | 1 = 1): number {
  if (!/^\d{1,6}$/.test(text) || Number(text) < least) throw new CliError(EXIT.usage, `${flag} takes a whole number from ${least}, not ${text}`);
  return Number(text);
}
