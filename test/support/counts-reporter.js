import { writeFileSync } from 'node:fs';
import { countByStandard } from './standard-counts.js';

/** Closes a run with its counts: into the file `npm test` asks for, else alone on the last line. */
export default class CountsReporter {
  onRunComplete(_contexts, results) {
    const passed = results.numPassedTests;
    // A file that does not even load has no tests to fail.
    const failed = results.numFailedTests + results.numRuntimeErrorTestSuites;
    const skipped = results.numPendingTests + results.numTodoTests;
    const skippedNames = results.testResults.flatMap((suite) =>
      suite.testResults.filter((test) => test.status === 'pending' || test.status === 'todo').map((test) => test.fullName),
    );
    const standards = countByStandard(results.testResults.flatMap(({ testResults }) => testResults));
    if (standards.length > 0) process.stdout.write(`\nby the standard whose requirement a test names:\n${standards.map((line) => `  ${line}\n`).join('')}`);
    const file = process.env.MAYFLY_TEST_COUNTS;
    if (file === undefined) process.stdout.write(`\n${passed} passed, ${failed} failed, ${skipped} skipped\n`);
    else writeFileSync(file, JSON.stringify({ passed, failed, skipped, skippedNames }));
  }
}
