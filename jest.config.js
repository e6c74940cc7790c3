/** Jest in ESM; TypeScript through swc. Run by `npm test`, which starts the real servers first. */
export default {
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        jsc: { parser: { syntax: 'typescript' }, target: 'es2024' },
        module: { type: 'es6' },
      },
    ],
  },
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  // Servers of others that take minutes to build: `npm run test:peers`.
  testPathIgnorePatterns: process.env.MAYFLY_TEST_PEERS === undefined ? ['/node_modules/', '<rootDir>/test/peers/'] : ['/node_modules/'],
  testTimeout: 30_000,
  reporters: ['default', '<rootDir>/test/support/counts-reporter.js'],
};
