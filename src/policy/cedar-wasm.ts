import { createRequire, Module } from 'node:module';
import type * as CedarModule from '@cedar-policy/cedar-wasm/nodejs';
import { PolicyError } from './policy-error.ts';

/** Cedar, in a wasm of its own. */
export type Cedar = typeof CedarModule;

const FILE = createRequire(import.meta.url).resolve('@cedar-policy/cedar-wasm/nodejs');

/** A Cedar that shares nothing with any other: some 30 ms, and a few MB. The package starts one when it is loaded, so it is loaded again, beside the cache of modules. */
export function startCedar(): Cedar {
  const loaded = new Module(FILE) as Module & { load(file: string): void };
  loaded.load(FILE);
  return loaded.exports as Cedar;
}

/**
 * One Cedar, and another in its place once it has thrown. What throws out of the wasm leaves its stack where it was: too deep an
 * expression, or a thousand strings that are no Unicode, and from then on it fails at every question, whoever asks.
 */
export class CedarHost {
  #cedar: Cedar | undefined;

  /** Runs `work`, which must not wait. What it keeps in a Cedar is gone with it: it compares the one that it is given. */
  run<T>(work: (cedar: Cedar) => T): T {
    this.#cedar ??= startCedar();
    try {
      return work(this.#cedar);
    } catch (error) {
      // Our own refusals are thrown beside the wasm, not out of it.
      if (!(error instanceof PolicyError)) this.#cedar = undefined;
      throw error;
    }
  }
}

/** For texts of which nobody knows yet what they are: none of them ever comes near the one that decides. */
const unproven = new CedarHost();

/** Runs `work` on a policy set that may be anything. Throws `PolicyError` where Cedar breaks down at it. */
export function withUnproven<T>(file: string, work: (cedar: Cedar) => T): T {
  try {
    return unproven.run(work);
  } catch (error) {
    if (error instanceof PolicyError) throw error;
    throw new PolicyError({ file }, 'is more than Cedar can take in: something in it is nested too deeply, or too long');
  }
}
