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

/** The words of others are text. Trusted Types refuse the rest in the browser; this says so while it is written. */
const noMarkup = {
  selector: "MemberExpression[property.name=/^(innerHTML|outerHTML|insertAdjacentHTML|srcdoc)$/], JSXAttribute[name.name=/^(dangerouslySetInnerHTML|innerHTML|srcdoc)$/], CallExpression[callee.object.name='document'][callee.property.name='write'], NewExpression[callee.name='Function'], CallExpression[callee.name='eval']",
  message: 'No text becomes markup in the dashboard: show it with <Foreign>.',
};

export default tseslint.config(
  { ignores: ['dist/', 'node_modules/', 'coverage/', '.mayfly/'] },
  {
    files: ['src/**/*.ts', 'src/dashboard/**/*.tsx', 'dev/**/*.ts', 'test/**/*.ts', 'bench/**/*.ts', 'scripts/**/*.ts', 'examples/**/*.ts'],
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
    files: ['src/**/*.ts', 'src/dashboard/**/*.tsx'],
    rules: { 'no-restricted-syntax': ['error', oneVerifier, oneClock, oneFetch] },
  },
  { files: ['src/dashboard/**'], rules: { 'no-restricted-syntax': ['error', oneVerifier, oneClock, oneFetch, noMarkup] } },
  { files: ['src/core/clock.ts'], rules: { 'no-restricted-syntax': ['error', oneVerifier, oneFetch] } },
  { files: ['src/identity/verify-token.ts'], rules: { 'no-restricted-syntax': ['error', oneClock, oneFetch] } },
  // A proof is no token: it brings its own key, and has checks of its own.
  { files: ['src/identity/dpop/dpop-proof.ts'], rules: { 'no-restricted-syntax': ['error', oneClock, oneFetch] } },
  { files: ['src/cli/**/*.ts'], rules: { 'no-restricted-syntax': ['error', oneVerifier] } },
  // The page asks the broker it came from, and nobody else: its policy lets it.
  { files: ['src/dashboard/broker.ts', 'src/dashboard/event-source.ts'], rules: { 'no-restricted-syntax': ['error', oneVerifier, oneClock, noMarkup] } },
  { files: ['src/identity/outbound-fetch.ts'], rules: { 'no-restricted-syntax': ['error', oneVerifier, oneClock] } },
);
