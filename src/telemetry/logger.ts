import { pino, type DestinationStream, type Logger as PinoLogger } from 'pino';
import { safeFields } from './safe-fields.ts';
import { stripSecrets } from './strip-secrets.ts';

export type Logger = PinoLogger;

const REDACTED = ['headers', 'body', 'authorization', 'token', 'secret', 'password'].flatMap((name) => [name, `*.${name}`]);

/**
 * A JSON logger: one object a line, to standard output unless told otherwise. Fields go through `safeFields`, and each
 * line through `stripSecrets`. `level` is one of pino's; `base` is on every line. Lines about a request, a task or a
 * lease carry `request_id`, `task` and `lease`.
 */
export function createLogger(options: { readonly level: string; readonly base?: object }, destination?: DestinationStream): Logger {
  const sink: DestinationStream = destination ?? process.stdout;
  return pino(
    {
      level: options.level,
      base: safeFields(options.base ?? {}),
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }), log: safeFields },
      // What a child logger is given does not pass the formatter.
      redact: { paths: REDACTED, censor: '[secret]' },
      // pino's own serializer copies every property of an error; `safeFields` has already taken what may be shown.
      serializers: { err: (value: unknown) => (value instanceof Error ? safeFields({ err: value })['err'] : value) },
    },
    {
      write(line: string): void {
        sink.write(stripSecrets(line));
      },
    },
  );
}
