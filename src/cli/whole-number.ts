import { CliError, EXIT } from './exit-codes.ts';

/** A flag's whole number of seconds. Throws a usage error that names the flag. */
export function wholeNumber(flag: string, text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new CliError(EXIT.usage, `${flag} takes a whole number of seconds, not ${text}`);
  return Number(text);
}
