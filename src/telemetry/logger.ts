import { pino, type DestinationStream, type Logger as PinoLogger } from 'pino';
import { safeFields } from './safe-fields.ts';
import { stripSecrets } from './strip-secrets.ts';
import { activeTraceId } from './trace-context.ts';

export type Logger = PinoLogger;

const REDACTED = ['headers', 'body', 'authorization', 'token', 'secret', 'password'].flatMap((name) => [name, `*.${name}`]);

/**
 * A JSON logger: one object a line, to standard output unless told otherwise. Fields go through `safeFields`, and each
 * line through `stripSecrets`. `level` is one of pino's; `base` is on every line. Lines about a request, a task or a
 * lease carry `request_id`, `task` and `lease`; whatever is logged on behalf of a request carries its `trace_id`.
 */
export function createLogger(options: { readonly level: string; readonly base?: object }, destination?: DestinationStream): Logger {
  const sink: DestinationStream = destination ?? process.stdout;
  return pino(
    {
      level: options.level,
      base: safeFields(options.base ?? {}),
      timestamp: pino.stdTimeFunctions.isoTime,
      mixin: activeTraceField,
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

function activeTraceField(): { readonly trace_id?: string } {
  const id = activeTraceId();
  return id === undefined ? {} : { trace_id: id };
}
