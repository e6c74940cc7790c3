import { RISKS, type Risk } from '../config/config-words.ts';

/** The highest risk among actions as a policy compares it: 0 low, 1 medium, 2 high, 3 critical. What nobody rated is low. */
export const riskOf = (actions: readonly string[], rated: Readonly<Record<string, Risk>>): number =>
  Math.max(0, ...actions.map((action) => RISKS.indexOf((Object.hasOwn(rated, action) ? rated[action] : undefined) ?? 'low')));
