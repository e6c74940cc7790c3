import { pino, stdSerializers, type DestinationStream, type Logger as PinoLogger } from 'pino';

export type Logger = PinoLogger;

/** What looks like a JWT, a Vault token, or one of our own reference tokens. */
const SECRETS = /\beyJ[\w-]{5,}\.[\w-]+(\.[\w-]*)?|\b(hv[sbr]|[sbr])\.[\w-]{20,}|\bmfr_[\w-]{20,}/g;

/** Strips what looks like a secret from a text. The last line of defence: nothing that logs should rely on it. */
export const stripSecrets = (text: string): string => text.replace(SECRETS, '[secret]');

/** An error without what libraries hang on it: requests, responses and configurations hold headers and bodies. */
function plainError(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const { type, message, stack } = stdSerializers.err(error);
  const code = 'code' in error ? error.code : undefined;
  return {
    type,
    message,
    stack,
    ...(typeof code === 'string' ? { code } : {}),
    ...(error.cause === undefined ? {} : { cause: plainError(error.cause) }),
  };
}

/** A JSON logger: one object a line, to standard output unless told otherwise. */
export function createLogger(options: { readonly level: string; readonly base?: object }, destination?: DestinationStream): Logger {
  const sink: DestinationStream = destination ?? process.stdout;
  return pino(
    {
      level: options.level,
      base: options.base ?? {},
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: plainError },
      redact: { paths: ['*.headers', '*.body', '*.token', '*.secret', '*.password', 'headers', 'body', 'token', 'secret', 'password'], censor: '[secret]' },
    },
    {
      write(line: string): void {
        sink.write(stripSecrets(line));
      },
    },
  );
}
