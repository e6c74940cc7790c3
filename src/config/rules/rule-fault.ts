import type { ConfigPath } from '../load-config.ts';

/** A key of a configuration that breaks a rule, and what is expected there. */
export interface RuleFault {
  readonly key: ConfigPath;
  readonly detail: string;
}
