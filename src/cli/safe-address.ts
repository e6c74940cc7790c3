import { CliError, EXIT } from './exit-codes.ts';
import { printable } from './output.ts';

export const isLoopback = (hostname: string): boolean => /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/.test(hostname);

/** The address as it is to be called. Throws a usage error for one that would carry the token in the clear, or is none. */
export function safeAddress(address: string, origin: string): URL {
  const url = URL.parse(address);
  if (url === null || !/^https?:$/.test(url.protocol)) throw new CliError(EXIT.usage, `${printable(address)} (from ${origin}) is not an http or https URL`);
  if (url.username !== '' || url.password !== '') throw new CliError(EXIT.usage, `the address from ${origin} must not hold a user or a password`);
  if (url.protocol === 'http:' && !isLoopback(url.hostname)) {
    throw new CliError(EXIT.usage, `${printable(address)} (from ${origin}) is plain http: the token would be readable on its way; use https`);
  }
  return url;
}
