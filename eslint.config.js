import tseslint from 'typescript-eslint';

/** Places where a rule protects an invariant; the message says which one. */
const oneVerifier = {
  selector: "CallExpression[callee.name=/^(jwtVerify|compactVerify|flattenedVerify|generalVerify)$/]",
  message: 'Tokens are verified in src/identity/verify-token.ts only: jose checks nothing it is not told to.',
};
const oneClock = {
  selector: "CallExpression[callee.object.name='Date'][callee.property.name='now']",
  message: 'Read time from a Clock (src/core/clock.ts), so that tests can move it and guards can watch it.',
};
const oneFetch = {
  selector: "CallExpression[callee.name='fetch']",
  message: 'Configured URLs are fetched through src/identity/outbound-fetch.ts, which pins addresses and refuses redirects.',
};

export default tseslint.config(
  { ignores: ['dist/', 'node_modules/', 'coverage/', '.mayfly/'] },
  {
    files: ['src/**/*.ts', 'dev/**/*.ts', 'test/**/*.ts', 'bench/**/*.ts', 'scripts/**/*.ts', 'examples/**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/no-non-null-assertion': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      'no-console': 'error',
      eqeqeq: 'error',
    },
  },
  {
    files: ['src/**/*.ts'],
    rules: { 'no-restricted-syntax': ['error', oneVerifier, oneClock, oneFetch] },
  },
  { files: ['src/core/clock.ts'], rules: { 'no-restricted-syntax': ['error', oneVerifier, oneFetch] } },
  { files: ['src/identity/verify-token.ts'], rules: { 'no-restricted-syntax': ['error', oneClock, oneFetch] } },
  // A proof is no token: it brings its own key, and has checks of its own.
  { files: ['src/identity/dpop/dpop-proof.ts'], rules: { 'no-restricted-syntax': ['error', oneClock, oneFetch] } },
  { files: ['src/cli/**/*.ts'], rules: { 'no-restricted-syntax': ['error', oneVerifier] } },
  { files: ['src/identity/outbound-fetch.ts'], rules: { 'no-restricted-syntax': ['error', oneVerifier, oneClock] } },
);
