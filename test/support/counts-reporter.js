import { writeFileSync } from 'node:fs';
import { relative } from 'node:path';
import { closingLines } from '../../scripts/test-counts.js';

/** Closes a run with its counts: hands them to `npm test` in the file it asks for, else prints them last. */
export default class CountsReporter {
  onRunComplete(_contexts, results) {
    const suites = results.testResults.map((suite) => ({
      path: relative(process.cwd(), suite.testFilePath),
      // The file did not load, or something failed outside its tests.
      broken: Boolean(suite.testExecError),
      tests: suite.testResults.map(({ fullName, status }) => ({ fullName, status })),
    }));
    const file = process.env.MAYFLY_TEST_COUNTS;
    if (file === undefined) process.stdout.write(`\n${closingLines(suites).join('\n')}\n`);
    else writeFileSync(file, JSON.stringify(suites));
  }
}
