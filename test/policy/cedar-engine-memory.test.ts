import { runInThisContext } from 'node:vm';
import { describe, expect, it } from '@jest/globals';

interface Instance {
  readonly exports: { readonly memory?: { readonly buffer: ArrayBuffer } };
}

/** The memory of every wasm that is started from here on, in bytes. Cedar does not show its own, and is loaded beside the modules of this test. */
function watchWasmMemory(): () => number {
  const { WebAssembly: wasm } = runInThisContext('globalThis') as { WebAssembly: { Instance: new (...args: unknown[]) => Instance } };
  const memories: { readonly buffer: ArrayBuffer }[] = [];
  wasm.Instance = new Proxy(wasm.Instance, {
    construct(original, args: unknown[]) {
      const instance = new original(...args);
      if (instance.exports.memory !== undefined) memories.push(instance.exports.memory);
      return instance;
    },
  });
  return () => memories.reduce((sum, memory) => sum + memory.buffer.byteLength, 0);
}

describe('loading policies again and again', () => {
  it('PO-3: does not grow the memory of Cedar, which drops no name that it has once been given (control)', async () => {
    const bytes = watchWasmMemory();
    const { startCedar } = await import('../../src/policy/cedar-wasm.ts');
    const { createCedarEngine } = await import('../../src/policy/cedar-engine.ts');
    const { loadPolicies } = await import('../../src/policy/load-policies.ts');
    const { DIRECTORY } = await import('./policy-fixture.ts');
    const compiled = loadPolicies(DIRECTORY);
    const reloads = 60;
    const load = (): void => {
      for (let n = 0; n < reloads; n += 1) createCedarEngine(compiled);
    };
    load();
    const settled = bytes();
    expect(settled).toBeGreaterThan(0);
    load();
    expect(bytes()).toBe(settled);

    const cedar = startCedar();
    const started = bytes();
    for (let n = 0; n < reloads; n += 1) {
      cedar.preparseSchema(`control-${n}`, compiled.schemaText);
      cedar.preparsePolicySet(`control-${n}`, { staticPolicies: compiled.byAction.get('mint') ?? {} });
    }
    expect(bytes()).toBeGreaterThan(started + 2_000_000);
  });
});
