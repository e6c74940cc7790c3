import type { Config } from '../config/config-schema.ts';
import { systemClock } from '../core/clock.ts';
import { sessionCallers, type SessionCallers } from '../identity/session-caller.ts';
import { Sessions } from '../identity/sessions.ts';
import type { KeySources } from '../identity/key-sources.ts';
import type { OutboundFetch } from '../identity/outbound-fetch.ts';
import type { CountSignIn } from '../identity/sign-in/count-sessions.ts';
import { createIssuerClient } from '../identity/sign-in/issuer-client.ts';
import { RefusalRecord } from '../identity/sign-in/refusal-record.ts';
import { createSignInAttempts } from '../identity/sign-in/sign-in-attempt.ts';
import { SignIn } from '../identity/sign-in/sign-in.ts';
import { SignInGate } from '../identity/sign-in/sign-in-gate.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Logger } from '../telemetry/logger.ts';

export interface SignInPartsDeps {
  readonly config: Pick<Config, 'operators' | 'http' | 'environment'>;
  readonly ledger: Ledger;
  readonly keys: KeySources;
  readonly outboundFetch: OutboundFetch;
  /** 32 bytes, derived for attempts to sign in alone. */
  readonly attemptKey: Buffer;
  readonly count: CountSignIn;
  readonly log: Logger;
}

/** Builds what lets people in with a browser; undefined where the configuration lets nobody. */
export function signInParts({ config, ledger, keys, outboundFetch, attemptKey, count, log }: SignInPartsDeps): { readonly signIn: SignIn; readonly gate: SignInGate; readonly callers: SessionCallers } | undefined {
  const { operators, environment } = config;
  const { sign_in: signIn } = operators;
  const { public_url: publicUrl } = config.http;
  if (signIn === undefined || publicUrl === undefined) return undefined;
  const clock = systemClock;
  const sessions = new Sessions({ records: ledger, operators, signIn, clock });
  return {
    gate: new SignInGate({ perAddress: signIn.requests_per_minute_per_address, inAll: signIn.requests_per_minute }, { clock, count }),
    callers: sessionCallers(sessions, new URL(publicUrl).origin),
    signIn: new SignIn({
      ...{ operators, signIn, sessions, keys, clock },
      client: createIssuerClient({ operators, signIn, publicUrl, outboundFetch, allowHttp: environment === 'development', clock }),
      attempts: createSignInAttempts(attemptKey, clock),
      records: ledger,
      refusals: new RefusalRecord({ records: ledger, clock, count, log }),
      useOnce: (what, untilMs) => ledger.useOnce(what, untilMs),
      wasUsed: (what) => ledger.wasUsed(what),
    }),
  };
}
