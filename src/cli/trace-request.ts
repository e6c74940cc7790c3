import { isVerbose, tell } from './output.ts';

export interface AskedFor {
  readonly method: string;
  /** Without its host. No secret is in it: those are sent in headers and bodies, of which nothing is told. */
  readonly path: string;
}

/** With `--verbose`, tells what became of a request: its status, how long it took, and the ids that find it in the broker's log. Rejects as the request does. */
export async function traceRequest(asking: Promise<Response>, { method, path }: AskedFor): Promise<Response> {
  if (!isVerbose()) return asking;
  const startedMs = performance.now();
  const took = (): string => `${Math.round(performance.now() - startedMs)} ms`;
  try {
    const response = await asking;
    const [request, trace] = [response.headers.get('x-request-id'), response.headers.get('traceparent')?.split('-')[1]];
    tell(`${method} ${path}: ${response.status} in ${took()}${request === null ? '' : `, request ${request}`}${trace === undefined ? '' : `, trace ${trace}`}`);
    return response;
  } catch (error) {
    tell(`${method} ${path}: no answer in ${took()}`);
    throw error;
  }
}
