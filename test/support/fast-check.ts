import fc from 'fast-check';

/** `npm test` gives all properties of a run one seed, so that a counterexample is found again when its suite runs again. */
const seed = process.env['MAYFLY_TEST_SEED'];
if (seed !== undefined) fc.configureGlobal({ seed: Number(seed) });

export default fc;
