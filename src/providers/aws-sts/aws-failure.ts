import { ProviderError } from '../credential-provider.ts';

/**
 * Errors that pass, by the code that AWS gives them (common errors of STS and IAM). Whatever else AWS answers with a
 * status of 4xx is a refusal.
 */
const PASSING: ReadonlySet<string> = new Set([
  'Throttling',
  'ThrottlingException',
  'RequestLimitExceeded',
  'TooManyRequestsException',
  'PriorRequestNotComplete',
  'RequestTimeout',
  'RequestTimeoutException',
  'ServiceUnavailable',
  'InternalFailure',
  'ConcurrentModification',
  'ConcurrentModificationException',
  // The broker's own session ran out: the next call logs in again.
  'ExpiredToken',
  'ExpiredTokenException',
]);

interface AwsError {
  readonly name: string;
  readonly $metadata: { readonly httpStatusCode?: number };
}

const isAnswer = (error: unknown): error is AwsError => typeof error === 'object' && error !== null && '$metadata' in error && (error as AwsError).$metadata.httpStatusCode !== undefined;

/** What AWS calls the error; undefined where AWS did not answer. */
export const awsCode = (error: unknown): string | undefined => (isAnswer(error) ? error.name : undefined);

/**
 * A failed call as a `ProviderError` that says what was being done. AWS's own error stays outside: it holds requests with
 * their keys. What had no answer, or one of a server at fault, may have been done all the same.
 */
export function toProviderError(provider: string, doing: string, error: unknown, options: { readonly creates?: boolean } = {}): ProviderError {
  if (error instanceof ProviderError) return error;
  const status = isAnswer(error) ? (error.$metadata.httpStatusCode ?? 0) : null;
  const refused = status !== null && status >= 400 && status < 500 && !PASSING.has(awsCode(error) ?? '');
  const said = status === null ? `AWS gave no answer (${codeOf(error)})` : `AWS answered ${status} ${awsCode(error) ?? ''}`.trimEnd();
  const mayHaveMinted = options.creates === true && (status === null || status >= 500);
  return new ProviderError(provider, refused ? 'refused' : 'unavailable', `${doing}: ${said}`, { mayHaveMinted });
}

/** A word for what happened on the way: a system's error code, or the name of the error. */
function codeOf(error: unknown): string {
  if (typeof error !== 'object' || error === null) return 'unknown';
  if ('code' in error && typeof error.code === 'string') return error.code;
  return 'name' in error && typeof error.name === 'string' ? error.name : 'unknown';
}
