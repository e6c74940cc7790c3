import { readFileSync } from 'node:fs';

/** What `npm start` says of the development stack that runs. Ends the process, and says why, where there is none. */
export function readStack(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return stop(`There is no development stack at ${file}: start one with \`npm start\`.`);
  }
}

/** Ends an example that has nothing to show. */
export function stop(why: string): never {
  process.stderr.write(`${why}\n`);
  process.exit(1);
}
