import { RISKS, type Risk } from '../config/config-words.ts';

/** The highest risk among actions, as the operator rates each. What nobody rated is low. */
export const riskOf = (actions: readonly string[], rated: Readonly<Record<string, Risk>>): Risk =>
  actions.map((action) => (Object.hasOwn(rated, action) ? rated[action] : undefined) ?? 'low').reduce((highest, one) => (RISKS.indexOf(one) > RISKS.indexOf(highest) ? one : highest), 'low');

/** The same as a policy compares it: 0 low, 1 medium, 2 high, 3 critical. */
export const riskLevel = (actions: readonly string[], rated: Readonly<Record<string, Risk>>): number => RISKS.indexOf(riskOf(actions, rated));
