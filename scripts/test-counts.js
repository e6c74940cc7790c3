import { countByStandard } from './standard-counts.js';

/**
 * What a run of Jest came to.
 * @typedef {{ path: string, broken: boolean, tests: readonly { fullName: string, status: string }[] }} Suite
 */

/** @param {Suite} suite */
export const isRed = ({ broken, tests }) => broken || tests.some(({ status }) => status === 'failed');

/**
 * The lines that close a run: skipped tests by name, counts by standard, and last `N passed, N failed, N skipped`.
 * @param {readonly Suite[]} suites
 * @param {{ passed: number, failures: readonly string[] }} others checks beside Jest
 * @returns {string[]}
 */
export function closingLines(suites, others = { passed: 0, failures: [] }) {
  const tests = suites.flatMap((suite) => suite.tests);
  const withStatus = (...statuses) => tests.filter(({ status }) => statuses.includes(status));
  const skipped = withStatus('pending', 'todo');
  const failed = withStatus('failed').length + suites.filter(({ broken }) => broken).length + others.failures.length;
  const standards = countByStandard(tests);
  return [
    ...(standards.length === 0 ? [] : ['by the standard whose requirement a test names:', ...standards.map((line) => `  ${line}`), '']),
    ...skipped.map(({ fullName }) => `skipped: ${fullName}`),
    ...others.failures.map((failure) => `FAIL ${failure}`),
    `${withStatus('passed').length + others.passed} passed, ${failed} failed, ${skipped.length} skipped`,
  ];
}
