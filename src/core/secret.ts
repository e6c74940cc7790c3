import { inspect } from 'node:util';

const REDACTED = '[secret]';

/**
 * Secret material in memory. Printing, serialising or inspecting it gives `[secret]`; `expose()` is the one way out,
 * and each call of it is reviewed. Compare two secrets by what they expose: a deep-equality matcher finds any two equal.
 */
export class Secret<T = string> {
  readonly #value: T;

  constructor(value: T) {
    this.#value = value;
  }

  /** The secret itself. Call it at the last moment, where the value leaves for its one recipient. */
  expose(): T {
    return this.#value;
  }

  toString(): string {
    return REDACTED;
  }

  toJSON(): string {
    return REDACTED;
  }

  [Symbol.toPrimitive](): string {
    return REDACTED;
  }

  [inspect.custom](): string {
    return REDACTED;
  }
}
