/**
 * Names whose values never reach a log: credentials by their usual names, whole requests and answers, and the free text
 * of a declaration. Matched at the end of the name, so that `wrapping_token` and `responseBody` are caught.
 */
const NEVER_LOGGED =
  /(?:headers?|body|authorization|cookies?|password|passwd|passphrase|secrets?|secret_?id|token|jwt|assertion|private_?key|justification|note)$/i;

const REDACTED = '[secret]';
/** Deeper than any of our own fields; what lies below is a mistake and may be large. */
const MAX_DEPTH = 6;

/** Fields as they may be logged: secrets by name redacted, errors without their extra properties, objects of others by their type. */
export function safeFields(fields: object): Record<string, unknown> {
  return safeEntries(fields, 0);
}

/**
 * An error as it may be logged: name, message, code, stack and causes. Everything else is left out, since clients hang
 * the request on their errors, and with it the token and the body.
 */
function safeError(error: Error, depth: number): Record<string, unknown> {
  const { code } = error as { code?: unknown };
  return {
    type: error.name,
    message: withoutSource(error.message),
    ...(typeof code === 'string' || typeof code === 'number' ? { code } : {}),
    ...(error.stack === undefined ? {} : { stack: withoutSource(error.stack) }),
    ...(error.cause === undefined ? {} : { cause: safeValue(error.cause, depth + 1) }),
    ...(error instanceof AggregateError ? { errors: safeValue(error.errors, depth + 1) } : {}),
  };
}

/** V8 repeats what it could not read as JSON, a short text as a whole: that is somebody's body, or an issuer's answer. */
const withoutSource = (text: string): string => text.replace(/(?:\.{3})?"[^]*"(?:\.{3})? is not valid JSON/, 'what was read is not valid JSON');

const safeEntries = (fields: object, depth: number): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [name, NEVER_LOGGED.test(name) ? REDACTED : safeValue(value, depth + 1)]),
  );

function safeValue(value: unknown, depth: number): unknown {
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'function' || typeof value === 'symbol') return `[${typeof value}]`;
  if (typeof value !== 'object' || value === null) return value;
  if (depth > MAX_DEPTH) return '[deep]';
  if (value instanceof Error) return safeError(value, depth);
  if (Array.isArray(value)) return value.map((item) => safeValue(item, depth + 1));
  if (ArrayBuffer.isView(value)) return '[bytes]';
  // A date, a URL, a Secret: what it says of itself.
  if ('toJSON' in value && typeof value.toJSON === 'function') return safeValue((value as { toJSON(): unknown }).toJSON(), depth + 1);
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === null || prototype === Object.prototype) return safeEntries(value, depth);
  // A request, an answer, a socket: its type says enough.
  return `[${value.constructor.name}]`;
}
