/** How often a broker is killed: 30 times unless `MAYFLY_FAULT_KILLS` says otherwise, as `npm run test:faults` does. */
export const KILLS = Number(process.env['MAYFLY_FAULT_KILLS'] ?? 30);

/** Milliseconds from a request to a kill, seeded so that a failure can be seen again. */
export function* killDelays(least: number, most: number): Generator<number, never, undefined> {
  let state = 20_260_101;
  for (;;) {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    yield least + (state % (most - least));
  }
}
