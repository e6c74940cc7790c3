import type { AuditEvent } from './audit-event.ts';

/** Readers of an event's facts, which are whatever the record says: each answers what there is, and never throws. */
export type Facts = AuditEvent['facts'];

export const textOf = (facts: Facts, name: string): string | null => (typeof facts[name] === 'string' ? facts[name] : null);
export const numberOf = (facts: Facts, name: string): number | null => (typeof facts[name] === 'number' ? facts[name] : null);
export const recordOf = (facts: Facts, name: string): Facts => (isFacts(facts[name]) ? facts[name] : {});
export const listOf = (facts: Facts, name: string): Facts[] => arrayOf(facts, name).filter(isFacts);
export const wordsOf = (facts: Facts, name: string): string[] => arrayOf(facts, name).filter((word) => typeof word === 'string');

const isFacts = (value: unknown): value is Facts => typeof value === 'object' && value !== null && !Array.isArray(value);
const arrayOf = (facts: Facts, name: string): unknown[] => (Array.isArray(facts[name]) ? (facts[name] as unknown[]) : []);
